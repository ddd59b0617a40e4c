// A graph of windows over sources and topics between parts, as data: nodes in topological order, each named by its place in the
// list. Behind it, the contents of the source partitions. Both are drawn from a seed.
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
  /** The late records of a window. */
  | { readonly kind: "late"; readonly of: number };

export interface Graph {
  readonly nodes: readonly GraphNode[];
  /** Of each node. */
  readonly partitions: readonly number[];
  /** Nodes that are written to topics. */
  readonly outputs: readonly number[];
  /** The name of what it was begun with. */
  readonly shape: (typeof SHAPES)[number];
}

/** A record of a source partition; its time counts from the start of all contents. */
export interface Content {
  readonly key: string;
  readonly t: number;
  readonly n: number;
}
/** Source topic, partition, offset. */
export type Contents = readonly (readonly (readonly Content[])[])[];

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
] as const;

const NODES_MAX = 12;

export function drawGraph(draw: Draw, seed: number): Graph {
  const shape = SHAPES[seed % SHAPES.length] as Graph["shape"];
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

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  ended(): Omit<Graph, "shape"> {
    // Every way ends in a topic; a window in the midst may do so too. Late records are a way of their own.
    const used = new Set(
      this.#nodes.flatMap((node) => {
        if (node.kind === "source" || node.kind === "late") return [];
        return node.kind === "merge" ? [node.of, node.with] : [node.of];
      }),
    );
    const isSeen = (node: GraphNode, i: number): boolean =>
      !used.has(i) || (node.kind === "window" && this.#draw.chance(0.5));
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

  #window(of: number, kind?: WindowSpec["kind"]): number {
    const grace = this.#draw.pick([0, 0, 1, 3, 6]);
    return this.#add({ kind: "window", of, window: this.#spec(kind), grace }, this.#width(of));
  }

  #spec(wanted?: WindowSpec["kind"]): WindowSpec {
    const draw = this.#draw;
    const kind = wanted ?? draw.pick(["hopping", "hopping", "session", "sliding"] as const);
    if (kind === "session") return { kind, gap: draw.pick([1, 3]) };
    if (kind === "sliding") return { kind, difference: draw.pick([2, 5]) };
    const size = draw.pick([4, 10]);
    return { kind, size, advance: draw.pick([size, size, size / 2, 2]) };
  }

  begin(shape: Graph["shape"]): void {
    const first = this.#source();
    const width = this.#width(first);
    const begin: Record<Graph["shape"], () => number> = {
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
      "late records": () => {
        const window = this.#window(this.#key(first));
        const late = this.#add({ kind: "late", of: window }, this.#width(window));
        return this.#window(late);
      },
    };
    begin[shape]();
  }

  /** Some steps behind what is there. */
  more(): void {
    const draw = this.#draw;
    for (let steps = draw.below(4); steps > 0 && this.#nodes.length < NODES_MAX; steps--) {
      const of = draw.below(this.#nodes.length);
      const kind = draw.pick(["key", "flat", "merge", "window", "window", "late"] as const);
      if (kind === "key") this.#window(this.#key(of));
      else if (kind === "flat")
        this.#window(this.#add({ kind, of, salt: draw.below(99) }, this.#width(of)));
      else if (kind === "merge") this.#window(this.#merge(of, this.#other(of)));
      else if (kind === "window") this.#window(of);
      else if (this.#nodes[of]?.kind === "window") this.#add({ kind, of }, this.#width(of));
    }
  }
}

const FAR = 200;

export function drawContents(draw: Draw, { nodes, partitions }: Graph): Contents {
  const isEnded = draw.chance(0.75);
  let made = 0;
  return nodes.flatMap((node, i) => {
    if (node.kind !== "source") return [];
    return [
      Array.from({ length: partitions[i] ?? 1 }, () => {
        const contents: Content[] = [];
        let base = draw.below(10);
        const content = (t: number): Content => ({
          key: `k${String(draw.below(3))}`,
          t,
          n: 1 + ((made++ * 7_919) % 100_003),
        });
        // Time of a partition without records stands still, and so does all behind it.
        const count = draw.chance(0.03) ? 0 : draw.between(1, 9);
        for (let at = 0; at < count; at++) {
          base += draw.pick([0, 0, 1, 1, 2, 4, 9]);
          contents.push(content(Math.max(0, base - draw.pick([0, 0, 0, 1, 2, 5, 12]))));
        }
        return isEnded && count > 0 ? [...contents, content(base + FAR)] : contents;
      }),
    ];
  });
}
