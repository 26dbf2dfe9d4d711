/** In every credential that the suites use. Whatever a program writes in a whole run is searched for it: `Run.ts`. */
export const mark = "pLaNtEdSeCrEt7"

/** Shaped as the real ones are. */
export const planted = {
  apiKey: `sk-ant-api03-${mark}0123456789`,
  oauthToken: `sk-ant-oat01-${mark}9876543210`,
  storedToken: `sk-ant-oat01-${mark}-of-a-login`,
  refreshToken: `sk-ant-ort01-${mark}-of-a-login`,
  helperKey: `sk-ant-api03-${mark}-of-a-helper`,
  gatewayToken: `gateway-${mark}`,
  serveToken: `serve-${mark}-of-sixteen-or-more`,
  mcpHeader: `mcp-header-${mark}`,
  collector: `collector-${mark}`,
  environment: `environment-${mark}`
} as const

/** The mark as it is, and within base64 wherever it begins there. It has nothing that JSON or an address would change. */
export const forms: ReadonlyArray<string> = [
  mark,
  ...[0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(mark)]).toString("base64")
    // The first and the last letters hold bits of what stands beside it.
    return encoded.slice(Math.ceil(before * 8 / 6), Math.floor((before + mark.length) * 8 / 6))
  })
]
