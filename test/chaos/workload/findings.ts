// What an examination has found: how much is missing, how much is there too often, and the first few words on each.
/** Of each kind of finding. */
const NOTES_MAX = 12;

export class Findings {
  lost = 0;
  doubled = 0;
  wrong = 0;
  readonly notes: string[] = [];
  readonly #kinds = new Map<string, number>();

  get isClean(): boolean {
    return this.lost + this.doubled + this.wrong === 0;
  }

  /** Takes over what another has found. */
  add(other: Findings): void {
    this.lost += other.lost;
    this.doubled += other.doubled;
    this.wrong += other.wrong;
    this.notes.push(...other.notes);
  }

  lose(note: string, count = 1): void {
    this.lost += count;
    this.#note(`lost: ${note}`);
  }
  double(note: string, count = 1): void {
    this.doubled += count;
    this.#note(`doubled: ${note}`);
  }
  fault(note: string): void {
    this.wrong++;
    this.#note(`wrong: ${note}`);
  }
  same(found: unknown, wanted: unknown, what: string): void {
    const [is, shouldBe] = [textOf(found), textOf(wanted)];
    if (is !== shouldBe) this.fault(`${what}: ${is} instead of ${shouldBe}`);
  }

  /** One text for one thing on both sides, each as often as it was put in; the order does not count. */
  compare(found: readonly string[], wanted: readonly string[], what: string): void {
    const left = new Map<string, number>();
    for (const one of wanted) left.set(one, (left.get(one) ?? 0) + 1);
    for (const one of found) {
      const count = left.get(one) ?? 0;
      if (count === 0) this.double(`${what} ${one}`);
      left.set(one, count - 1);
    }
    for (const [one, count] of left) if (count > 0) this.lose(`${what} ${one}`, count);
  }

  /** The first words say of what kind it is. */
  #note(text: string): void {
    const kind = text.split(" ", 3).join(" ");
    const count = (this.#kinds.get(kind) ?? 0) + 1;
    this.#kinds.set(kind, count);
    if (count <= NOTES_MAX) this.notes.push(text.slice(0, 300));
  }
}

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? String(one) : one));
