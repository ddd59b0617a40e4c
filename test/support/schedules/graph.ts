// A graph of windows and joins over sources and topics between parts, as data: nodes in topological order, each named by its
// place in the list. It is drawn from a seed.
import type { Draw } from "../simulation/case.ts";

/** A window in ms. An operator that is new becomes a kind here, a line in `oracle.ts` and one in `flow.ts`. */
export type WindowSpec =
  | { readonly kind: "hopping"; readonly size: number; readonly advance: number }
  | { readonly kind: "session"; readonly gap: number }
  | { readonly kind: "sliding"; readonly difference: number }
  | { readonly kind: "calendar"; readonly unit: CalendarUnit; readonly timeZone: string };
type CalendarUnit = "hour" | "day";

export type GraphNode =
  | { readonly kind: "source"; readonly topic: number }
  /** A new key, through a topic between parts. */
  | { readonly kind: "key"; readonly of: number; readonly salt: number; readonly keys: number }
  /** Records are dropped, and doubled. */
  | { readonly kind: "flat"; readonly of: number; readonly salt: number }
  | { readonly kind: "merge"; readonly of: number; readonly with: number }
  | {
      readonly kind: "window";
      readonly of: number;
      readonly window: WindowSpec;
      readonly grace: number;
      /** Its fold depends on the order of records. */
      readonly isOrdered: boolean;
    }
  | {
      readonly kind: "join";
      readonly of: number;
      readonly with: number;
      readonly how: "join" | "leftJoin" | "outerJoin";
      readonly before: number;
      readonly after: number;
      readonly grace: number;
    }
  /** A handler that takes records in the order of their times; its timer fires so long behind the last one of a key. */
  | { readonly kind: "order"; readonly of: number; readonly pause: number; readonly grace: number }
  /** Windows of so many records, in the order of one source topic. */
  | { readonly kind: "counted"; readonly of: number; readonly size: number }
  /** The first record of a key of so many kinds, in that order. */
  | { readonly kind: "first"; readonly of: number; readonly kinds: number }
  /** The late records of a window, or of one side of a join: 0 is the left one. */
  | { readonly kind: "late"; readonly of: number; readonly side: 0 | 1 };

/** Where and how fast its times run. */
export interface GraphTimes {
  readonly startMs: number;
  /** What all times and spans are multiples of. */
  readonly unitMs: number;
  /** Null: no window of a calendar is among them. */
  readonly calendar: Extract<WindowSpec, { kind: "calendar" }> | null;
}

export interface Graph {
  readonly times: GraphTimes;
  readonly nodes: readonly GraphNode[];
  /** Of each node. */
  readonly partitions: readonly number[];
  /** Nodes that are written to topics. */
  readonly outputs: readonly number[];
  /** The name of what it was begun with. */
  readonly shape: Shape;
}

export const SHAPES = [
  "direct",
  "one repartition",
  "two repartitions",
  "two ways of different length",
  "window into window",
  "window into window in one part",
  "a part that reads what it writes",
  "two parts in a circle",
  "two sources",
  "sessions",
  "late records",
  "a join",
  "a join behind a repartition",
  "a join of ways of different length",
  "a join of windows",
  "a join into a join",
  "a stream joined with its own repartition",
  "a stream joined with its own windows",
  "late records of a join",
  "records in order",
  "windows of records in order",
] as const;

type Shape = (typeof SHAPES)[number];
type JoinShape = Extract<Shape, `${string}join${string}`>;

const MINUTE_MS = 60_000;
/** The clocks of Berlin are put forward five hours later, and back. */
const SPRING_MS = Date.UTC(2026, 2, 28, 20);
const AUTUMN_MS = Date.UTC(2026, 9, 24, 20);
const CALENDAR_SHARE = 0.12;

function drawTimes(draw: Draw): GraphTimes {
  if (!draw.chance(CALENDAR_SHARE))
    return { startMs: Date.UTC(2026, 0, 1), unitMs: 1, calendar: null };
  const unit = draw.pick(["hour", "day"] as const);
  const timeZone = draw.pick(["Europe/Berlin", "Europe/Berlin", "Asia/Kathmandu"]);
  return {
    startMs: draw.pick([SPRING_MS, AUTUMN_MS]),
    unitMs: MINUTE_MS * (unit === "hour" ? 20 : 120),
    calendar: { kind: "calendar", unit, timeZone },
  };
}

const NODES_MAX = 12;
const STEPS = ["key", "flat", "merge", "window", "window", "join", "order", "late"] as const;
/** Each multiplies the records. */
const JOINS_MAX = 2;

export function drawGraph(draw: Draw, seed: number): Graph {
  const shape = SHAPES[seed % SHAPES.length] as Shape;
  const times = drawTimes(draw);
  const drawing = new Drawing(draw, times);
  drawing.begin(shape);
  drawing.more();
  return { ...drawing.ended(), times, shape };
}

class Drawing {
  readonly #draw: Draw;
  readonly #times: GraphTimes;
  readonly #nodes: GraphNode[] = [];
  readonly #partitions: number[] = [];
  #topics = 0;
  #joins = 0;

  constructor(draw: Draw, times: GraphTimes) {
    this.#draw = draw;
    this.#times = times;
  }

  ended(): Pick<Graph, "nodes" | "partitions" | "outputs"> {
    // Every way ends in a topic; a window in the midst may do so too. Late records are a way of their own.
    const used = new Set(
      this.#nodes.flatMap((node) => {
        if (node.kind === "source" || node.kind === "late") return [];
        return "with" in node ? [node.of, node.with] : [node.of];
      }),
    );
    const isOften = ({ kind }: GraphNode): boolean => kind === "window" || kind === "join";
    const isSeen = (node: GraphNode, i: number): boolean =>
      !used.has(i) || (isOften(node) && this.#draw.chance(0.5));
    const outputs = this.#nodes.flatMap((node, i) => (isSeen(node, i) ? [i] : []));
    return { nodes: this.#nodes, partitions: this.#partitions, outputs };
  }

  #add(node: GraphNode, partitions: number): number {
    this.#partitions.push(partitions);
    return this.#nodes.push(node) - 1;
  }

  #width(of: number): number {
    return this.#partitions[of] ?? 1;
  }

  #source(partitions = this.#draw.between(1, 3)): number {
    return this.#add({ kind: "source", topic: this.#topics++ }, partitions);
  }

  #span(...units: readonly number[]): number {
    return this.#draw.pick(units) * this.#times.unitMs;
  }

  #grace(): number {
    return this.#span(0, 0, 1, 3, 6);
  }

  #key(of: number, partitions = this.#draw.between(1, 3)): number {
    const [salt, keys] = [this.#draw.below(99), this.#draw.between(1, 3)];
    return this.#add({ kind: "key", of, salt, keys }, partitions);
  }

  #merge(of: number, other: number): number {
    return this.#add({ kind: "merge", of, with: other }, this.#width(of));
  }

  /** What a node is merged with: another way of the same records, or of their windows. */
  #other(of: number): number {
    return this.#draw.chance(0.5) ? this.#key(of, this.#width(of)) : this.#window(of);
  }

  /** What a node is joined with: itself, something that has as many partitions, or another way. */
  #partner(of: number): number {
    const draw = this.#draw;
    const like = this.#nodes.flatMap((_, i) => (this.#width(i) === this.#width(of) ? [i] : []));
    return draw.chance(0.5)
      ? draw.pick(like)
      : this.#key(draw.below(this.#nodes.length), this.#width(of));
  }

  #window(of: number, kind?: "session"): number {
    const [window, grace] = [this.#spec(kind), this.#grace()];
    // Directly on a source records are folded as they come. Nothing is drawn for it, so graphs stay what they are.
    const isOrdered = this.#nodes.length % 2 === 0 && !this.#isDirect(of);
    return this.#add({ kind: "window", of, window, grace, isOrdered }, this.#width(of));
  }

  /** Whether what comes out of a node came from one source, through no topic between parts. */
  #isDirect(of: number): boolean {
    const origins = new Set<number>();
    const above = new Set([of]);
    for (const at of above) {
      const node = this.#nodes[at] as GraphNode;
      if (node.kind === "key") return false;
      if (node.kind === "source") origins.add(node.topic);
      else above.add(node.of);
      if ("with" in node) above.add(node.with);
    }
    return origins.size === 1;
  }

  #join(of: number, other: number): number {
    this.#joins++;
    const how = this.#draw.pick(["join", "leftJoin", "outerJoin", "outerJoin"] as const);
    const [before, after] = [this.#span(0, 2, 5), this.#span(0, 0, 2, 5)];
    const spans = { before, after, grace: this.#grace() };
    return this.#add({ kind: "join", of, with: other, how, ...spans }, this.#width(of));
  }

  #order(of: number): number {
    const [pause, grace] = [this.#span(3, 7), this.#grace()];
    return this.#add({ kind: "order", of, pause, grace }, this.#width(of));
  }

  #late(of: number, side: 0 | 1 = 0): number {
    return this.#add({ kind: "late", of, side }, this.#width(of));
  }

  #spec(wanted?: "session"): WindowSpec {
    const { calendar } = this.#times;
    const kinds = ["hopping", "hopping", "session", "sliding"] as const;
    const kind = wanted ?? this.#draw.pick(kinds);
    if (wanted === undefined && calendar !== null && this.#draw.chance(0.5)) return calendar;
    if (kind === "session") return { kind, gap: this.#span(1, 3) };
    if (kind === "sliding") return { kind, difference: this.#span(2, 5) };
    const size = this.#span(4, 10);
    const advance = this.#draw.pick([size, size, size / 2, 2 * this.#times.unitMs]);
    return { kind: "hopping", size, advance };
  }

  begin(shape: Shape): void {
    const first = this.#source();
    const all: Record<Shape, () => number> = {
      ...this.#ways(first),
      ...this.#joined(first),
    };
    all[shape]();
  }

  #ways(first: number): Record<Exclude<Shape, JoinShape>, () => number> {
    const width = this.#width(first);
    return {
      direct: () => this.#window(first),
      "one repartition": () => this.#window(this.#key(first)),
      "two repartitions": () => this.#window(this.#key(this.#key(first))),
      "two ways of different length": () => {
        const near = this.#key(first, width);
        return this.#window(this.#merge(near, this.#key(this.#key(first), width)));
      },
      "window into window": () => this.#window(this.#key(this.#window(this.#key(first)))),
      "window into window in one part": () => this.#window(this.#window(this.#key(first))),
      "a part that reads what it writes": () =>
        this.#window(this.#merge(first, this.#key(first, width))),
      "two parts in a circle": () =>
        this.#window(this.#merge(first, this.#key(this.#key(first), width))),
      "two sources": () => {
        const second = this.#source(width);
        return this.#window(this.#key(this.#merge(first, second)));
      },
      sessions: () => this.#window(this.#key(this.#window(first, "session")), "session"),
      "records in order": () => this.#window(this.#order(this.#key(first))),
      "windows of records in order": () => this.#order(this.#key(this.#window(this.#order(first)))),
      "late records": () => this.#window(this.#late(this.#window(this.#key(first)))),
    };
  }

  #joined(first: number): Record<JoinShape, () => number> {
    const width = this.#width(first);
    const again = (): number => this.#key(first, width);
    const second = (): number => this.#source();
    return {
      "a join": () => this.#window(this.#join(first, this.#source(width))),
      "a join behind a repartition": () =>
        this.#window(this.#join(again(), this.#key(second(), width))),
      "a join of ways of different length": () =>
        this.#window(this.#join(again(), this.#key(this.#key(second()), width))),
      "a join of windows": () =>
        this.#window(this.#join(this.#window(again()), this.#key(this.#window(second()), width))),
      "a join into a join": () => {
        const inner = this.#join(first, this.#source(width));
        return this.#window(this.#join(this.#key(inner, width), again()));
      },
      "a stream joined with its own repartition": () => this.#window(this.#join(first, again())),
      "a stream joined with its own windows": () =>
        this.#window(this.#join(first, this.#window(again()))),
      "late records of a join": () => {
        const join = this.#join(again(), this.#key(second(), width));
        const late = this.#merge(this.#late(join, 0), this.#late(join, 1));
        return this.#window(late);
      },
    };
  }

  /** Some steps behind what is there. */
  more(): void {
    const draw = this.#draw;
    for (let steps = draw.below(4); steps > 0 && this.#nodes.length < NODES_MAX; steps--) {
      const of = draw.below(this.#nodes.length);
      const kind = draw.pick(STEPS);
      if (kind === "key") this.#window(this.#key(of));
      else if (kind === "flat")
        this.#window(this.#add({ kind, of, salt: draw.below(99) }, this.#width(of)));
      else if (kind === "merge") this.#window(this.#merge(of, this.#other(of)));
      else if (kind === "window") this.#window(of);
      else if (kind === "order") this.#order(of);
      else if (kind === "join" && this.#joins < JOINS_MAX) this.#join(of, this.#partner(of));
      else this.#lateOf(of);
    }
  }

  #lateOf(of: number): void {
    const { kind } = this.#nodes[of] as GraphNode;
    if (kind === "window") this.#late(of);
    else if (kind === "join") this.#late(of, this.#draw.pick([0, 1] as const));
  }
}
