/** Why a command ends with code 1 was told by it already. */
export class Told {
  readonly _tag = "Told"
}
