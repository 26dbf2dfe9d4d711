// After failures in a row nothing is asked for a while; then one call finds out whether it works again.
import { CircuitBreaker, CircuitBreakerError, getCliCircuitBreaker, querySimple } from "ccflow"

const breaker = new CircuitBreaker({ failureThreshold: 2, resetTimeout: "50 millis", successThreshold: 1 })
let broken = true
const lookUp = () => {
  if (broken) throw new Error("no database")
  return "found"
}

for (let call = 1; call <= 3; call++) {
  try {
    console.log(await breaker.call(lookUp))
  } catch (error) {
    console.log(error instanceof CircuitBreakerError ? `refused, it is ${breaker.state}` : String(error))
  }
}
broken = false
await new Promise((later) => setTimeout(later, 60))
console.log(`${breaker.state}: ${await breaker.call(lookUp)}, ${breaker.state}`)

// Queries have one already, which all of them share.
await querySimple("What is 2+2?")
console.log(`queries: ${getCliCircuitBreaker().state}`)
