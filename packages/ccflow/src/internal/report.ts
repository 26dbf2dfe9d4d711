import { promptText, type SessionRecord, type TurnRecord } from "@ccflow/core/SessionRecord"
import { count, dollars } from "./amounts.js"
import { oneLine, printable } from "./safe.js"
import * as Table from "./table.js"
import { local } from "./time.js"
import { padded } from "./width.js"

export const sessions = (records: ReadonlyArray<SessionRecord>): string => {
  const tagged = records.some(({ tags }) => tags.length > 0)
  return Table.render(
    [
      "id",
      "last used",
      "status",
      Table.right("turns"),
      Table.right("cost"),
      "model",
      Table.grows("title"),
      ...tagged ? [Table.grows("tags")] : []
    ],
    records.map((record) => [
      shortened(record, records),
      local(record.updatedAt),
      record.status,
      String(record.turnCount),
      dollars(record.costUsd),
      record.model ?? "",
      record.title,
      ...(tagged ? [record.tags.join(", ")] : [])
    ])
  )
}

export const session = (record: SessionRecord, turns: ReadonlyArray<TurnRecord>): string =>
  facts(record).map(([name, value]) => `${padded(name, 8)}  ${oneLine(value)}\n`).join("") +
  (turns.length === 0 ? "" : `\n${
    Table.render(
      [
        Table.right("turn"),
        "began",
        "status",
        Table.right("seconds"),
        Table.right("cost"),
        Table.grows("prompt"),
        Table.grows("answer")
      ],
      turns.map((turn) => [
        String(turn.index + 1),
        local(turn.startedAt),
        turn.status,
        turn.endedAt === undefined ? "" : ((turn.endedAt - turn.startedAt) / 1000).toFixed(1),
        turn.costUsd === undefined ? "" : dollars(turn.costUsd),
        promptText(turn.prompt),
        answerOf(turn)
      ])
    )
  }`)

export const markdown = (record: SessionRecord, turns: ReadonlyArray<TurnRecord>): string =>
  [
    `# ${oneLine(record.title) || record.sessionId}`,
    facts(record).slice(1).map(([name, value]) => `- ${name}: ${oneLine(value)}`).join("\n"),
    ...turns.flatMap((turn) => [
      `## ${turn.index + 1}. ${local(turn.startedAt)}${turn.status === "completed" ? "" : ` (${turn.status})`}`,
      promptText(turn.prompt).split("\n").map((line) => `> ${line}`.trimEnd()).join("\n"),
      turn.error === undefined ? answerOf(turn) : `${answerOf(turn)}\n\n${turn.error.tag}: ${turn.error.message}`
    ])
  ].map((part) => printable(part).trim()).filter((part) => part !== "").join("\n\n") + "\n"

// ---------------------------------------------------------------------------

const facts = (record: SessionRecord): ReadonlyArray<readonly [string, string]> =>
  ([
    ["title", record.title],
    ["id", record.sessionId],
    ["parent", record.parentId ?? ""],
    ["status", record.status],
    ["model", record.model ?? ""],
    ["folder", record.cwd],
    ["tags", record.tags.join(", ")],
    ["began", local(record.createdAt)],
    ["used", local(record.updatedAt)],
    ["turns", String(record.turnCount)],
    ["tokens", `${count(record.usage.inputTokens)} in, ${count(record.usage.outputTokens)} out`],
    ["cost", dollars(record.costUsd)]
  ] as const).filter(([, value]) => value !== "")

/** What there is of it, when it has no end. */
const answerOf = (turn: TurnRecord): string => turn.result ?? turn.seen

/** Eight characters say enough, unless two begin with the same. */
const shortened = ({ sessionId }: SessionRecord, all: ReadonlyArray<SessionRecord>): string => {
  const short = sessionId.slice(0, 8)
  return all.filter((other) => other.sessionId.startsWith(short)).length === 1 ? short : sessionId
}
