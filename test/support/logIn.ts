import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { planted } from "./planted.js"

/** A stored login, as `claude auth login` leaves it in this home. */
export const logIn = async (home: string) => {
  await mkdir(join(home, ".claude"), { recursive: true })
  await writeFile(
    join(home, ".claude", ".credentials.json"),
    JSON.stringify({
      claudeAiOauth: {
        accessToken: planted.storedToken,
        refreshToken: planted.refreshToken,
        expiresAt: Date.now() + 5 * 3_600_000,
        scopes: ["user:inference", "user:profile"],
        subscriptionType: "max"
      }
    }),
    { mode: 0o600 }
  )
  await writeFile(
    join(home, ".claude.json"),
    JSON.stringify({ oauthAccount: { emailAddress: "a@b.example", organizationUuid: "o", accountUuid: "a" } })
  )
}
