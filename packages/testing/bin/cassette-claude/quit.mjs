// Ends the process as a CLI ended, when all that was written is out.
export const quit = async ({ code = null, signal = null, stderr = "" }) => {
  const written = (stream, text) => new Promise((done) => stream.write(text, () => done()))
  await Promise.all([written(process.stdout, ""), written(process.stderr, stderr)])
  if (signal !== null) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    // Until it has arrived.
    await new Promise((done) => setTimeout(done, 1000))
  }
  process.exit(code ?? 1)
}
