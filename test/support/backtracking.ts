// Can a regular expression take more than linear time over some text? It can where two ways lead through the same word and
// both go on: states p and q with p → p, p → q and q → q over one word (Weber and Seidl's criterion of ambiguity that
// grows). The states are the places of the expression's characters; a search that may begin anywhere is one more state,
// with a loop over every character. Counted repetitions are bounded, so that only a few of their copies are looked at, and
// assertions are taken as if they could always be true. So it errs to the safe side, but for factors that are constants.

interface Piece {
  /** Places that may come first and last; of the last, those behind which nothing else can fail. */
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly freeLast: readonly number[];
  readonly isEmpty: boolean;
  readonly isFreeEmpty: boolean;
  /** It can begin at the beginning of the text only. */
  readonly isAnchored: boolean;
}

const empty: Piece = {
  ...{ first: [], last: [], freeLast: [] },
  ...{ isEmpty: true, isFreeEmpty: true, isAnchored: false },
};
const assertion: Piece = { ...empty, isFreeEmpty: false };
const COPIES_MAX = 3;
const START = 0;

/** Characters that stand for all others. */
const samples = [...Array(256).keys(), 0x3a9, 0x2028, 0x4e2d, 0xfffd, 0x1f600]
  .map((code) => String.fromCodePoint(code))
  .filter((one, at, all) => all.indexOf(one) === at);

class Places {
  readonly #source: string;
  readonly #flags: string;
  #at = 0;
  /** By place, a bit for each sample that the place takes. */
  readonly takes: bigint[] = [(1n << BigInt(samples.length)) - 1n];
  /** Ways from a place to the next: more than one where two repetitions lead to it. */
  readonly follow: Map<number, number>[] = [new Map([[START, 1]])];
  readonly inner: string[] = [];
  readonly whole: Piece;

  constructor({ source, flags }: RegExp) {
    this.#source = source;
    this.#flags = flags.replace(/[gy]/g, "");
    this.whole = this.#choice();
    if (this.#at < source.length) throw new Error(`cannot read ${source} at ${String(this.#at)}`);
    if (!this.whole.isAnchored) this.#join([START], this.whole.first);
  }

  #choice(): Piece {
    const arms = [this.#sequence()];
    while (this.#skip("|")) arms.push(this.#sequence());
    return {
      first: arms.flatMap(({ first }) => first),
      last: arms.flatMap(({ last }) => last),
      freeLast: arms.flatMap(({ freeLast }) => freeLast),
      isEmpty: arms.some(({ isEmpty }) => isEmpty),
      isFreeEmpty: arms.some(({ isFreeEmpty }) => isFreeEmpty),
      isAnchored: arms.every(({ isAnchored }) => isAnchored),
    };
  }

  #sequence(): Piece {
    let before = empty;
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at] as string))
      before = this.#behind(before, this.#repeated());
    return before;
  }

  #behind(a: Piece, b: Piece): Piece {
    this.#join(a.last, b.first);
    return {
      first: a.isEmpty ? [...a.first, ...b.first] : a.first,
      last: b.isEmpty ? [...a.last, ...b.last] : b.last,
      freeLast: b.isFreeEmpty ? [...a.freeLast, ...b.freeLast] : b.freeLast,
      isEmpty: a.isEmpty && b.isEmpty,
      isFreeEmpty: a.isFreeEmpty && b.isFreeEmpty,
      isAnchored: a.isAnchored || (a.first.length === 0 && b.isAnchored),
    };
  }

  #join(from: readonly number[], to: readonly number[]): void {
    for (const one of from)
      for (const next of to) {
        const ways = this.follow[one] as Map<number, number>;
        ways.set(next, (ways.get(next) ?? 0) + 1);
      }
  }

  /** An atom as often as its quantifier says: copies of it, of which the last may repeat. */
  #repeated(): Piece {
    const from = this.#at;
    const once = this.#atom();
    const quantifier = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(this.#source.slice(this.#at));
    if (quantifier === null) return once;
    this.#at += quantifier[0].length;
    const end = this.#at;
    const [min, max] = bounds(quantifier);
    const isOpen = max === Infinity;
    const copies = [once];
    while (copies.length < Math.min(isOpen ? min : max, COPIES_MAX)) {
      this.#at = from;
      copies.push(this.#atom());
    }
    this.#at = end;
    const final = copies.at(-1) as Piece;
    if (isOpen) this.#join(final.last, final.first);
    // From the last one: each can be there only if the one in front of it is.
    return copies.reduceRight((behind, copy, at) => {
      const all = this.#behind(copy, behind);
      return at < min ? all : { ...all, isEmpty: true, isFreeEmpty: true };
    }, empty);
  }

  #atom(): Piece {
    const rest = this.#source.slice(this.#at);
    if (rest.startsWith("(")) return this.#group(rest);
    if (rest.startsWith("^")) {
      this.#at++;
      return { ...assertion, isAnchored: !this.#flags.includes("m") };
    }
    if (/^(\$|\\[bB])/.test(rest)) {
      this.#at += rest.startsWith("$") ? 1 : 2;
      return assertion;
    }
    if (/^\\([1-9]|k)/.test(rest)) throw new Error("back references take any time");
    const text =
      /^(?:\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\u[\da-f]{4}|\\x[\da-f]{2}|\\c[a-z]|\\[^]|\[(?:\\[^]|[^\]\\])*\]|[^])/iu.exec(
        rest,
      )?.[0] ?? "";
    this.#at += text.length;
    return this.#place(text);
  }

  #place(text: string): Piece {
    const one = new RegExp(`^(?:${text})$`, this.#flags);
    const place = this.takes.length;
    const bits = samples.map((sample, at) => (one.test(sample) ? 1n << BigInt(at) : 0n));
    this.takes.push(bits.reduce((a, b) => a | b));
    this.follow.push(new Map());
    const own = [place];
    return { ...empty, first: own, last: own, freeLast: own, isEmpty: false, isFreeEmpty: false };
  }

  #group(rest: string): Piece {
    const [opening] = /^\((?:\?(?:<?[=!]|:|<\w+>))?/.exec(rest) as unknown as [string];
    this.#at += opening.length;
    const from = this.#at;
    const places = this.takes.length;
    const inside = this.#choice();
    const body = this.#source.slice(from, this.#at);
    if (!this.#skip(")")) throw new Error(`a group of ${this.#source} has no end`);
    if (!/[=!]$/.test(opening)) return inside;
    // A look has no place on the way; it is an expression of its own.
    this.takes.length = this.follow.length = places;
    this.inner.push(opening.includes("<") ? body : `^(?:${body})`);
    return assertion;
  }

  #skip(character: string): boolean {
    if (this.#source[this.#at] !== character) return false;
    this.#at++;
    return true;
  }
}

function bounds([text, min, comma, max]: RegExpExecArray): readonly [number, number] {
  if (text.startsWith("*")) return [0, Infinity];
  if (text.startsWith("+")) return [1, Infinity];
  if (text.startsWith("?")) return [0, 1];
  if (comma === "") return [Number(min), Number(min)];
  return [Number(min), max === "" ? Infinity : Number(max)];
}

/** The reason why the expression may take more than linear time; null where it cannot. */
export function backtracks(expression: RegExp): string | null {
  const places = new Places(expression);
  const own = new Ways(places).trouble();
  if (own !== null) return own;
  for (const look of places.inner) {
    const why = backtracks(new RegExp(look, expression.flags));
    if (why !== null) return `in a look: ${why}`;
  }
  return null;
}

type Triple = readonly [number, number, number];

class Ways {
  readonly #takes: readonly bigint[];
  readonly #follow: readonly Map<number, number>[];
  readonly #freeLast: readonly number[];
  /** By place, those that can be reached in one step or more. */
  readonly #reach: readonly Set<number>[];

  constructor({ takes, follow, whole }: Places) {
    this.#takes = takes;
    this.#follow = follow;
    this.#freeLast = whole.freeLast;
    this.#reach = follow.map((ways) => {
      const seen = new Set(ways.keys());
      for (const one of seen) for (const next of follow[one]?.keys() ?? []) seen.add(next);
      return seen;
    });
  }

  trouble(): string | null {
    const loops = [...this.#takes.keys()].filter((p) => this.#leads(p, p));
    if (loops.some((p) => this.#isTwice(p))) return "a repetition repeats itself";
    const pairs = loops.flatMap((p) => loops.map((q) => [p, q] as const));
    const found = pairs.find(([p, q]) => this.#isSlow(p, q));
    if (found === undefined) return null;
    return found[0] === START ? "a search begins again inside it" : "two repetitions meet";
  }

  /** Two ways lead back to it at once. */
  #isTwice(p: number): boolean {
    const ways = [...(this.#follow[p] ?? [])];
    return ways.some(([q, count]) => count > 1 && this.#isSame(p, q));
  }

  #isSlow(p: number, q: number): boolean {
    return p !== q && this.#leads(p, q) && !this.#isSure(q) && this.#meet(p, q);
  }

  #leads(p: number, q: number): boolean {
    return this.#reach[p]?.has(q) === true;
  }

  /** Whether one lies on a loop through the other. */
  #isSame(p: number, q: number): boolean {
    return p === q || (this.#leads(p, q) && this.#leads(q, p));
  }

  /** Everything that is needed has come, so no text behind it makes the expression try again. */
  #isSure(q: number): boolean {
    return this.#freeLast.some((last) => this.#isSame(q, last));
  }

  /** Whether one word leads from p to p, from p to q and from q to q. */
  #meet(p: number, q: number): boolean {
    const seen = new Set<string>();
    const open: Triple[] = [[p, p, q]];
    const isOn = ([x, y, z]: Triple): boolean =>
      this.#isSame(x, p) && this.#isSame(z, q) && (y === q || this.#leads(y, q));
    const end = [p, q, q].join();
    for (const at of open)
      for (const next of this.#steps(at)) {
        const name = next.join();
        if (name === end) return true;
        if (!isOn(next) || seen.has(name)) continue;
        seen.add(name);
        open.push(next);
      }
    return false;
  }

  /** Steps of all three by one character. */
  *#steps([a, b, c]: Triple): Iterable<Triple> {
    for (const x of this.#next(a, ~0n))
      for (const z of this.#next(c, this.#takes[x] as bigint)) {
        const both = (this.#takes[x] as bigint) & (this.#takes[z] as bigint);
        for (const y of this.#next(b, both)) yield [x, y, z];
      }
  }

  #next(at: number, taking: bigint): number[] {
    const all = [...(this.#follow[at]?.keys() ?? [])];
    return all.filter((next) => ((this.#takes[next] as bigint) & taking) !== 0n);
  }
}
