// A graph of windows and joins over sources and topics between parts, as data: nodes in topological order, each named by its
// place in the list. It is drawn from a seed.
import type { Draw } from "../simulation/case.ts";

/** A window in ms. An operator that is new becomes a kind here, a line in `oracle.ts` and one in `flow.ts`. */
export type WindowSpec =
  | { readonly kind: "hopping"; readonly size: number; readonly advance: number }
  | { readonly kind: "session"; readonly gap: number }
  | { readonly kind: "sliding"; readonly difference: number };

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
  /** The late records of a window, or of one side of a join: 0 is the left one. */
  | { readonly kind: "late"; readonly of: number; readonly side: 0 | 1 };

export interface Graph {
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
] as const;

type Shape = (typeof SHAPES)[number];
type JoinShape = Extract<Shape, `${string}join${string}`>;

const NODES_MAX = 12;
/** Each multiplies the records. */
const JOINS_MAX = 2;

export function drawGraph(draw: Draw, seed: number): Graph {
  const shape = SHAPES[seed % SHAPES.length] as Shape;
  const drawing = new Drawing(draw);
  drawing.begin(shape);
  drawing.more();
  return { ...drawing.ended(), shape };
}

class Drawing {
  readonly #draw: Draw;
  readonly #nodes: GraphNode[] = [];
  readonly #partitions: number[] = [];
  #topics = 0;
  #joins = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  ended(): Omit<Graph, "shape"> {
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
    return draw.chance(0.5) ? draw.pick(like) : this.#key(draw.below(this.#nodes.length), this.#width(of));
  }

  #window(of: number, kind?: WindowSpec["kind"]): number {
    const grace = this.#draw.pick([0, 0, 1, 3, 6]);
    return this.#add({ kind: "window", of, window: this.#spec(kind), grace }, this.#width(of));
  }

  #join(of: number, other: number): number {
    const draw = this.#draw;
    this.#joins++;
    const how = draw.pick(["join", "leftJoin", "outerJoin", "outerJoin"] as const);
    const [before, after] = [draw.pick([0, 2, 5]), draw.pick([0, 0, 2, 5])];
    const grace = draw.pick([0, 0, 1, 3, 6]);
    const join = { kind: "join", of, with: other, how, before, after, grace } as const;
    return this.#add(join, this.#width(of));
  }

  #late(of: number, side: 0 | 1 = 0): number {
    return this.#add({ kind: "late", of, side }, this.#width(of));
  }

  #spec(wanted?: WindowSpec["kind"]): WindowSpec {
    const draw = this.#draw;
    const kind = wanted ?? draw.pick(["hopping", "hopping", "session", "sliding"] as const);
    if (kind === "session") return { kind, gap: draw.pick([1, 3]) };
    if (kind === "sliding") return { kind, difference: draw.pick([2, 5]) };
    const size = draw.pick([4, 10]);
    return { kind, size, advance: draw.pick([size, size, size / 2, 2]) };
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
      const kind = draw.pick(["key", "flat", "merge", "window", "window", "join", "late"] as const);
      if (kind === "key") this.#window(this.#key(of));
      else if (kind === "flat")
        this.#window(this.#add({ kind, of, salt: draw.below(99) }, this.#width(of)));
      else if (kind === "merge") this.#window(this.#merge(of, this.#other(of)));
      else if (kind === "window") this.#window(of);
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
