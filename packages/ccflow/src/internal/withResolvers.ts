/** A promise, and how it is settled. */
export interface Resolvers<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A | PromiseLike<A>) => void
  readonly reject: (error: unknown) => void
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export const withResolvers = <A>(): Resolvers<A> => {
  let resolve: Resolvers<A>["resolve"] = () => {}
  let reject: Resolvers<A>["reject"] = () => {}
  const promise = new Promise<A>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
