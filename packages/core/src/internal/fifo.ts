/** A place in the line, and what stands there. */
export interface Place<A> {
  readonly value: A
  before: Place<A> | undefined
  after: Place<A> | undefined
}

/** In the order of coming. To leave takes no time, wherever one stands, and leaves nothing behind. */
export class Fifo<A> {
  size = 0
  private first: Place<A> | undefined
  private last: Place<A> | undefined

  get head(): A | undefined {
    return this.first?.value
  }

  push(value: A): Place<A> {
    const place: Place<A> = { value, before: this.last, after: undefined }
    if (this.last === undefined) this.first = place
    else this.last.after = place
    this.last = place
    this.size++
    return place
  }

  /** Once for each place. */
  remove({ after, before }: Place<A>): void {
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    this.size--
  }

  shift(): A | undefined {
    const { first } = this
    if (first !== undefined) this.remove(first)
    return first?.value
  }

  *[Symbol.iterator](): Generator<A> {
    for (let place = this.first; place !== undefined; place = place.after) yield place.value
  }
}
