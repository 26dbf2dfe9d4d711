/**
 * Text without secrets: what log lines go through, and recordings. It needs nothing else of this library, so that a small
 * program can use it alone.
 */
export { isSecretName, redactor } from "./internal/redact.js"
