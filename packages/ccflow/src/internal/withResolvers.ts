/** A promise, and how it is settled. @internal */
export interface Resolvers<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
}

/** `Promise.withResolvers`, which Node 20 does not have. @internal */
export const withResolvers = <A>(): Resolvers<A> => {
  let resolve: (value: A) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<A>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
