/**
 * Bytes that come in parts and are wanted whole. What a long line has taken is given back the moment it is read, without
 * waiting for the collector: a line of many megabytes is in memory as bytes and text, then as text and value.
 *
 * @internal
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
    const size = Math.min(this.maxBytes, Math.max(needed, 2 * buffer.byteLength, smallestBytes))
    if (isResizable(buffer)) return buffer.resize(size)
    const larger = new Uint8Array(needed > ordinaryBytes ? resizable(size, this.maxBytes) : new ArrayBuffer(size))
    larger.set(this.bytes)
    this.storage = larger
  }

  private replace(storage: Uint8Array<ArrayBuffer>): void {
    const { buffer } = this.storage
    this.storage = storage
    if (isResizable(buffer)) buffer.resize(0)
  }
}

const smallestBytes = 1024
/** A buffer up to this size stays for the next line. */
const keptBytes = 64 * 1024
/** Longer lines are worth a buffer that can be given back. */
const ordinaryBytes = 1024 * 1024
/** No more address space than this is reserved for one. */
const reservableBytes = 1024 * 1024 * 1024

type Resizable = ArrayBuffer & { readonly resize: (bytes: number) => void }

const isResizable = (buffer: ArrayBufferLike): buffer is Resizable => "resizable" in buffer && buffer.resizable === true

/** Newer engines have such buffers, and their decoders may refuse them: an ordinary one serves as well. */
const resizable = (bytes: number, maxBytes: number): ArrayBuffer => {
  if (decodesResizable && maxBytes <= reservableBytes) {
    try {
      return construct(bytes, maxBytes)
    } catch {
      // No address space to reserve.
    }
  }
  return new ArrayBuffer(bytes)
}

const construct = (bytes: number, maxByteLength: number): ArrayBuffer =>
  Reflect.construct(ArrayBuffer, [bytes, { maxByteLength }])

const decodesResizable = (() => {
  try {
    return new TextDecoder().decode(new Uint8Array(construct(1, 2))).length === 1
  } catch {
    return false
  }
})()
