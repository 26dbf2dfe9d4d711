// One prompt, one answer.
import { querySimple } from "ccflow"

console.log(await querySimple("What is 2+2?"))
