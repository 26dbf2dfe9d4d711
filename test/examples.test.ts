import { getPriority } from "node:os"
import { echoBrain } from "./support/EchoBrain.js"
import { describeExamples } from "./support/examples.js"
import { text, toolUse } from "./support/MessagesApi.js"

const bash = (command: string) => toolUse("Bash", { command, description: "It" })
const nice = "Nice to meet you, Ada. I am a stand-in without a model, yet I will remember that."

describeExamples("examples", {
  "batch.ts": {
    says: echoBrain,
    prints: [
      ...["1 of 3", "2 of 3", "3 of 3"],
      ...["What is 3*4? 3*4 is 12.", "What is 10-7? 10-7 is 3.", "What is 9/3? 9/3 is 3."],
      ...["5*5 is 25.", "1+2 is 3.", "2*2 is 4."],
      "true cancelled",
      "3 completed, 0 failed, 1 cancelled"
    ]
  },
  "conversation.ts": { says: echoBrain, prints: [nice, "Your name is Ada.", "2 turns"] },
  "custom-spawner.ts": {
    says: [bash("echo \"${DEPLOY_KEY:-no key} at niceness $(nice)\""), text("A modest one.")],
    prints: [`no key at niceness ${Math.min(19, getPriority() + 5)}`, "A modest one."]
  },
  "effect-policies.ts": {
    says: echoBrain,
    prints: ["thorough:", "6*7 is 42.", "quick:", "3+4 is 7.", "refused: it asks for a password"]
  },
  "effect-session.ts": { says: echoBrain, prints: [nice, "Your name is Ada.", "6*7 is 42.", "2 turns and 1"] },
  "hooks.ts": {
    says: (request, index) => {
      const told = JSON.stringify(request.body).includes("The release is on Friday.")
      return [bash("touch built"), bash("git push")][index] ?? text(told ? "It is built, for Friday." : "It is built.")
    },
    prints: ["Bash has run", /Nobody pushes on a Thursday\./, "It is built, for Friday."]
  },
  "permissions.ts": {
    says: [bash("touch report.txt"), bash("rm report.txt"), text("The report is written.")],
    prints: [
      "May Bash run \"touch report.txt\"?",
      "it ran",
      "May Bash run \"rm report.txt\"?",
      /^denied: .*Nothing is deleted here\./,
      "The report is written."
    ]
  },
  "policies.ts": {
    says: echoBrain,
    prints: [
      "6*7 is 42. (call 3)",
      "Error: no database",
      "Error: no database",
      "refused: it is open",
      "it is closed",
      "1+1 is 2. 2+2 is 4. 3+3 is 6."
    ]
  },
  "storage.ts": {
    says: echoBrain,
    prints: [
      "My name is Ada. (1 turn)",
      "Your name is Ada.",
      "0 completed: My name is Ada.",
      "1 completed: What is my name?"
    ]
  },
  "tools.ts": {
    says: [
      toolUse("mcp__shop__price", { item: "tea" }),
      toolUse("mcp__shop__price", { item: "cake" }),
      text("A tea costs 3.50, and there is no cake.")
    ],
    prints: [
      /^told: .*3\.5/,
      /^failed: .*There is no cake; there is tea, coffee\./,
      "A tea costs 3.50, and there is no cake."
    ]
  }
})
