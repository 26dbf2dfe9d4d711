import { setMaxListeners } from "node:events"

/** How many listeners a signal has been given and not taken. */
export const watched = () => {
  const controller = new AbortController()
  const { signal } = controller
  setMaxListeners(0, signal)
  let listeners = 0
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  return { controller, signal, listeners: () => listeners }
}
