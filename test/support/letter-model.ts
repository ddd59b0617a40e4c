// What should become of letters, by a program that knows no generations: per part and partition the offset that is read
// next, and what became of each record. A promotion puts a copy of that aside, an undo takes it back.

type Ended = "open" | "redriven" | "resolved" | "discarded";

interface Line {
  readonly ends: Map<string, Ended>;
  readonly next: Map<string, number>;
}

/** `part/partition/offset` */
export const placeName = (part: string, partition: number, offset: number | bigint): string =>
  `${part}/${String(partition)}/${String(offset)}`;

export class LetterModel {
  /** The numbers of each partition, by offset. */
  readonly log: readonly number[][];
  readonly #parts: readonly string[];
  /** How often each number came out of the first part. */
  readonly outputs = new Map<number, number>();
  /** Letters that were sent back. */
  sent = 0;
  readonly #aside: Line[] = [];
  #line: Line = { ends: new Map(), next: new Map() };
  #waiting: string[] = [];

  constructor(parts: readonly string[], partitions: number) {
    this.#parts = parts;
    this.log = Array.from({ length: partitions }, () => []);
    for (const [part, partition] of this.tasks)
      this.#line.next.set(placeName(part, partition, 0), 0);
  }

  get tasks(): readonly (readonly [string, number])[] {
    return this.#parts.flatMap((part) =>
      this.log.map((_, partition) => [part, partition] as const),
    );
  }

  get promotions(): number {
    return this.#aside.length;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** The letters that there should be. What lies behind the next offset is to be read again. */
  get letters(): Record<string, Ended> {
    const seen = [...this.#line.ends].filter(([place]) => this.#isBehind(place));
    return Object.fromEntries(seen.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  get open(): readonly string[] {
    return Object.entries(this.letters).flatMap(([place, end]) => (end === "open" ? [place] : []));
  }

  /** Workers run until all is read. */
  run(isBad: (n: number) => boolean): void {
    const back = this.#waiting.filter((place) => this.#isBehind(place));
    this.#waiting = [];
    for (const place of back) this.#read(place, isBad, true);
    for (const [part, partition] of this.tasks) {
      const end = this.log[partition]?.length ?? 0;
      for (let offset = this.#next(part, partition); offset < end; offset++)
        this.#read(placeName(part, partition, offset), isBad, false);
      this.#line.next.set(placeName(part, partition, 0), end);
    }
  }

  redrive(places: readonly string[]): void {
    this.sent += places.length;
    this.#waiting.push(...places);
    for (const place of places) this.#line.ends.set(place, "redriven");
  }

  discard(places: readonly string[]): void {
    for (const place of places) this.#line.ends.set(place, "discarded");
  }

  reset(part: string, partition: number, to: number): void {
    this.#line.next.set(placeName(part, partition, 0), to);
  }

  /** A part passes over what waits in the redrive topic. */
  skip(part: string, partition: number): void {
    const isIts = (place: string): boolean => place.startsWith(`${part}/${String(partition)}/`);
    for (const place of this.#waiting.filter(isIts)) this.#line.ends.set(place, "open");
    this.#waiting = this.#waiting.filter((place) => !isIts(place));
  }

  /** The run has read everything from these offsets on, to where live was stopped. */
  promote(from: (part: string, partition: number) => number, isBad: (n: number) => boolean): void {
    this.#aside.push({ ends: new Map(this.#line.ends), next: new Map(this.#line.next) });
    for (const [part, partition] of this.tasks)
      for (const [offset, n] of (this.log[partition] ?? []).entries()) {
        const place = placeName(part, partition, offset);
        if (offset < from(part, partition) || !this.#isBehind(place)) continue;
        if (!isBad(n)) this.#line.ends.delete(place);
        else if (this.#line.ends.get(place) !== "discarded") this.#line.ends.set(place, "open");
      }
  }

  undo(): void {
    this.#line = this.#aside.pop() as Line;
  }

  #next(part: string, partition: number): number {
    return this.#line.next.get(placeName(part, partition, 0)) ?? 0;
  }

  #isBehind(place: string): boolean {
    const [part = "", partition, offset] = place.split("/");
    return Number(offset) < this.#next(part, Number(partition));
  }

  #read(place: string, isBad: (n: number) => boolean, isBack: boolean): void {
    const [part, partition, offset] = place.split("/");
    const n = this.log[Number(partition)]?.[Number(offset)] ?? -1;
    if (isBad(n)) this.#line.ends.set(place, "open");
    else if (isBack) this.#line.ends.set(place, "resolved");
    else this.#line.ends.delete(place);
    if (!isBad(n) && part === this.#parts[0]) this.outputs.set(n, (this.outputs.get(n) ?? 0) + 1);
  }
}
