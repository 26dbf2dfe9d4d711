import { homedir, hostname, tmpdir, userInfo } from "node:os"
import { fileURLToPath } from "node:url"
import { standardizer } from "../../packages/testing/src/internal/cassetteScrub.js"

export interface Traces {
  readonly home: string
  readonly pid: number
  readonly port: number
}

/** Every place a recording shows as the same one. */
const standard = { home: "/home/user", pid: "4242", port: "8080", uid: "1000" }

/** Replaces what one run on one machine leaves in a text; lengths change, structure does not. */
export const scrubber = ({ home, pid, port }: Traces): (text: string) => string => {
  const standardized = standardizer({ homes: [home] })
  return (text) =>
    standardized(text)
      .replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${standard.port}`)
      .replace(new RegExp(`"pid":${pid}\\b`, "g"), `"pid":${standard.pid}`)
}

const escaped = (value: string): string => value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** What must not be in a recording, however it got there. */
export const leaksIn = (text: string): ReadonlyArray<string> => {
  const checkout = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "")
  const places = [tmpdir(), homedir(), checkout, `/home/${userInfo().username}`, hostname()]
    .filter((place) => place !== standard.home)
    .map((place) => `(?<!\\w)${escaped(place)}(?!\\w)`)
  return [...places, "ccflow-home-", `cc-socks/(?!${standard.pid}\\b)`, `/claude-(?!${standard.uid}\\b)\\d`]
    .flatMap((pattern) => [...text.matchAll(new RegExp(`.{0,30}${pattern}.{0,30}`, "g"))].map(([hit]) => hit))
}
