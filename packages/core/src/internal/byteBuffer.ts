import * as Either from "effect/Either"

/**
 * Bytes that come in parts and are wanted whole.
 *
 * A line of many megabytes should be in memory twice at a time: as bytes and text, then as text and value. So a long one
 * grows in place, is given back the moment it is read, without waiting for the collector, and reminds the collector of
 * the reads that it was copied from.
 */
export class ByteBuffer {
  private storage = new Uint8Array(0)
  private length = 0
  private readonly maxBytes: number

  /** It will never be given more than `maxBytes`. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Valid until the next call. */
  get bytes(): Uint8Array {
    return this.storage.subarray(0, this.length)
  }

  append(part: Uint8Array): void {
    const needed = this.length + part.length
    if (needed > this.storage.length) this.grow(needed)
    this.storage.set(part, this.length)
    this.length = needed
  }

  truncate(length: number): void {
    const kept = this.bytes.slice(0, length)
    this.replace(kept)
    this.length = kept.length
  }

  clear(): void {
    this.length = 0
    if (this.storage.length > keptBytes) this.replace(new Uint8Array(0))
  }

  private grow(needed: number): void {
    const { buffer } = this.storage
    if (isResizable(buffer)) {
      collectReads()
      return buffer.resize(Math.min(this.maxBytes, needed + longStep))
    }
    const size = Math.min(this.maxBytes, Math.max(needed, 2 * buffer.byteLength, smallestBytes))
    const larger = new Uint8Array(needed > longBytes ? resizable(size, this.maxBytes) : new ArrayBuffer(size))
    larger.set(this.bytes)
    this.replace(larger)
  }

  private replace(storage: Uint8Array<ArrayBuffer>): void {
    const { buffer } = this.storage
    this.storage = storage
    if (isResizable(buffer)) buffer.resize(0)
  }
}

const MiB = 1024 * 1024
const smallestBytes = 1024
/** A buffer up to this size stays for the next line. */
const keptBytes = 64 * 1024
const longBytes = MiB
const longStep = 4 * MiB
/** No more address space than this is reserved for a line. */
const reservableBytes = 1024 * MiB

/**
 * What has been read and copied is garbage outside of V8's heap, and V8 lets it gather: as much as the line itself was
 * seen. A request that is larger than it lets pass has it collect what is young; the bytes are never touched.
 */
const collectReads = (): void => {
  new Uint8Array(32 * MiB)
}

type Resizable = ArrayBuffer & { readonly resize: (bytes: number) => void }

const isResizable = (buffer: ArrayBufferLike): buffer is Resizable => "resizable" in buffer && buffer.resizable === true

/** Older engines have no such buffers, a decoder may refuse them, and there may be no address space to reserve. */
const resizable = (bytes: number, maxBytes: number): ArrayBuffer => {
  const made = decodesResizable && maxBytes <= reservableBytes ? attempt(() => construct(bytes, maxBytes)) : undefined
  return made ?? new ArrayBuffer(bytes)
}

const attempt = <A>(make: () => A): A | undefined => Either.getOrUndefined(Either.try(make))

const construct = (bytes: number, maxByteLength: number): ArrayBuffer =>
  Reflect.construct(ArrayBuffer, [bytes, { maxByteLength }])

const decodesResizable = attempt(() => new TextDecoder().decode(new Uint8Array(construct(1, 2))).length) === 1
