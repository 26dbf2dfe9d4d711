/** Things that are given once, and then meant by their place. */
export class Names {
  readonly all: Array<string> = []
  private readonly places = new Map<string, number>()

  of(name: string): number {
    const known = this.places.get(name)
    if (known !== undefined) return known
    this.places.set(name, this.all.length)
    return this.all.push(name) - 1
  }
}

export class TagSets {
  readonly all: Array<ReadonlyArray<number>> = []
  private readonly keys = new Names()
  private readonly names: Names

  constructor(names: Names) {
    this.names = names
  }

  of(...tags: ReadonlyArray<string>): number {
    const set = [...new Set(tags)].map((tag) => this.names.of(tag)).sort((one, other) => one - other)
    const place = this.keys.of(set.join())
    this.all[place] = set
    return place
  }
}
