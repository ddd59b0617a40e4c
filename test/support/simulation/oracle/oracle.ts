// The second, naive program: one record after another, plain maps, no batches, no cache, nothing of the engine. Where the
// order of records is free (several tasks write under one key), it works in one of the possible orders, and says so.
import type { FlowSpec, Node, SimulationCase, SourceRecord } from "../case.ts";
import { LATE_PAIRS } from "../joins.ts";
import { isReference } from "../reference.ts";
import { withReferences } from "./references.ts";
import { judged } from "../times.ts";
import { changelogName, isRefused, repartitionName, sinkName } from "../refusals.ts";
import { frees, isHeld, outputName, spanMs, tableName } from "../flow.ts";
import { timerKey } from "../timers.ts";
import { timersFired, timersSet, type Entry } from "./timers.ts";
import * as fn from "../values.ts";
import type { Row, Value } from "../values.ts";
import { Joins } from "./joins.ts";
import { isMixed, Tables } from "./tables.ts";
import { Windows } from "./windows.ts";
import { isOperator, lateNode } from "../operators/case.ts";
import { keepsLate, LATE_NODE } from "../windows.ts";
import { Operators } from "./operators/operators.ts";
import {
  count,
  keyText,
  letterText,
  sourceText,
  type Expected,
  type ExpectedTopic,
} from "./expected.ts";
import { aggregated, chainOf, stateless, toldBy } from "./steps.ts";
import {
  itemOf,
  originOf,
  type Group,
  type Item,
  type Place,
  type SinkPart,
  type Trail,
} from "./way.ts";

export function expectedOf(of: SimulationCase): Expected {
  const { flow, stages } = of;
  const records = stages.flatMap((stage) => stage.records);
  const others = records.filter((record) => !isReference(flow, record));
  return withReferences(of, new Oracle(flow).run(others));
}

class Oracle {
  readonly #flow: FlowSpec;
  readonly #expected: Expected = {
    topics: new Map(),
    rows: new Map(),
    letters: [],
    perhaps: [],
    ledgers: new Map(),
    sequences: new Map(),
    stores: new Map(),
    evicted: new Map(),
  };
  readonly #stores = new Map<string, Map<string, Entry>>();
  readonly #groups = new Map<string, Group>();
  readonly #sinks = new Map<string, SinkPart>();
  readonly #windows = new Windows();
  readonly #joins = new Joins();
  readonly #operators: Operators;
  readonly #tables: Tables;

  constructor(flow: FlowSpec) {
    this.#flow = flow;
    this.#operators = new Operators(flow);
    this.#tables = new Tables(flow, this.#expected);
  }

  run(records: readonly SourceRecord[]): Expected {
    const chains = this.#flow.roots.map((root) => chainOf(this.#flow, root));
    const roots = this.#flow.roots.filter((_, i) => chains[i] === null);
    const direct = [...chains, this.#flow.direct].filter((chain) => chain !== null);
    const { sources, apart = [] } = this.#flow;
    const start = { isFree: false, isHeld: false, isTold: false };
    this.#prepare([...roots, ...apart], start);
    const isApart = ({ source }: SourceRecord): boolean => source >= sources;
    const others = records.filter((record) => !isApart(record));
    if (roots.length > 0) this.#begun("main", others, roots);
    // Without others that are no table's own, it is what the first `from` is in.
    const name = roots.length > 0 ? `in-${String(sources)}` : "main";
    if (apart.length > 0) this.#begun(name, records.filter(isApart), apart);
    for (const { node, place, items } of this.#groups.values()) {
      const topic = repartitionName(node);
      for (const item of items) this.#take(item, { part: node.id, topic, nodes: node.then, place });
    }
    this.#windows.close(this.#flow, records, this.#expected.topics);
    this.#joins.close(this.#flow, records, this.#expected.topics);
    this.#operators.close(records, this.#expected);
    for (const [name, sink] of this.#sinks) this.#tables.sink(name, sink);
    for (const chain of direct) this.#tables.direct(records, chain);
    for (const [name, entries] of this.#stores) {
      const values = [...entries].map(([key, { value }]): [string, unknown] => [key, value]);
      this.#expected.stores.set(name, new Map(values));
    }
    return this.#expected;
  }

  /** Outputs and parts are there also when nothing ever reaches them. */
  #prepare(nodes: readonly Node[], place: Place): void {
    for (const node of nodes) {
      const next = this.#next(node, place);
      if (node.op === "to") this.#prepareTopic(node, place);
      else if (node.op === "table") {
        this.#expected.rows.set(tableName(node), new Map());
        const isOfMany = place.isFree || isMixed(this.#flow, node);
        this.#sinks.set(tableName(node), {
          node,
          isLoose: place.isHeld,
          isMixed: isOfMany,
          items: [],
        });
      } else if (node.op === "windows") this.#prepareTopic({ ...node, id: LATE_NODE }, place);
      else if (node.op === "join") this.#prepareTopic({ ...node, id: LATE_PAIRS }, place);
      else if (isOperator(node)) this.#prepareLate(lateNode(node), place);
      else if (node.op.startsWith("group"))
        this.#groups.set(node.id, { node, place: next, items: [] });
      this.#prepare(node.then, next);
    }
  }

  #prepareLate(node: Node | null, place: Place): void {
    if (node !== null) this.#prepareTopic(node, place);
  }

  #prepareTopic(node: Node, { isFree, isHeld, isTold }: Place): void {
    if (node.id === LATE_NODE && !keepsLate(node.by)) return;
    const kind = isTold && isFree ? "told" : isFree ? "free" : "ordered";
    this.#expected.topics.set(outputName(node), { kind, isHeld, items: new Map() });
  }

  #next(node: Node, place: Place): Place {
    return {
      // Pairs come in the order of their second records.
      isFree: place.isFree || frees(this.#flow, node) || node.op === "join",
      isHeld: place.isHeld || isHeld(node),
      isTold: place.isTold || /^(count|sum|min|max|avg|aggregate)$/.test(node.op),
    };
  }

  /** Each partition of a source has a time of its own, to which its records move it. */
  #begun(part: string, records: readonly SourceRecord[], nodes: readonly Node[]): void {
    const place = { isFree: false, isHeld: false, isTold: false };
    for (let partition = 0; partition < this.#flow.partitions; partition++) {
      const times = new Map<string, number>();
      for (const record of records) {
        if (record.partition !== partition) continue;
        const topic = `in-${String(record.source)}`;
        const time = record.isPoison === true ? null : judged(this.#flow, record);
        if (time === null) {
          count(this.#expected, part, "dead-lettered");
          this.#expected.letters.push(letterText(topic, record.key, sourceText(record)));
          continue;
        }
        const origin = originOf(record, time, times.get(topic));
        if (time.isTold) times.set(topic, origin.originMs);
        const item = itemOf(record, { timeMs: time.ms, ...origin });
        this.#take(item, { part, topic, nodes, place });
      }
      this.#fire(nodes, { partition, timeMs: times.get("in-0") ?? -1 });
    }
  }

  /** One record through one part: all that it does, or nothing and a letter. */
  #take(
    item: Item,
    at: { part: string; topic: string; nodes: readonly Node[]; place: Place },
  ): void {
    const trail: Trail = {
      ...{ emitted: 0, isRepeat: false, isLate: false, isNullKey: false },
      ...{ undo: [], writes: [] },
    };
    try {
      for (const node of at.nodes) this.#visit(node, item, trail, at.place);
    } catch (error) {
      if (!(error instanceof fn.Refused)) throw error;
      for (const undo of trail.undo.reverse()) undo();
      const text = item.value === undefined ? "-" : JSON.stringify(item.value);
      this.#expected.letters.push(letterText(at.topic, item.key, text));
      return count(this.#expected, at.part, "dead-lettered");
    }
    for (const write of trail.writes) write();
    count(this.#expected, at.part, outcomeOf(trail, item));
  }

  #visit(node: Node, item: Item, trail: Trail, place: Place): void {
    const { value } = item;
    if (node.op === "to") return this.#output(node, item, trail, place);
    if (node.op === "table") return this.#toTable(node, item, trail, place);
    if (node.op.startsWith("group")) return this.#regroup(node, item, trail, place);
    if (node.op === "timers") return this.#timer(node, item, trail);
    if (isTimed(node)) return this.#timed(node, item, trail, place);
    if (/^(distinct|state|reduce|aggregate|count|sum|min|max|avg)$/.test(node.op))
      return this.#stateful(node, item, trail, place);
    // A tombstone goes down both arms of a branch.
    const gone = node.op === "split" ? [undefined, undefined] : [undefined];
    const values = value === undefined ? gone : stateless(node, value);
    for (const one of values) this.#on(node, { ...item, value: one }, trail, place);
  }

  #on(node: Node, item: Item, trail: Trail, place: Place): void {
    for (const next of node.then) this.#visit(next, item, trail, this.#next(node, place));
  }

  /** Brokers refuse no record whose order is free: the refused one would be another each time. */
  #mayWrite(topic: string, value: Value | Row | undefined, place: Place): void {
    const text = value === undefined ? "-" : JSON.stringify(value);
    if (!place.isFree && !place.isHeld && isRefused(this.#flow, topic, text))
      throw new fn.Refused();
  }

  #output(node: Node, { key, value, origin, partition }: Item, trail: Trail, place: Place): void {
    this.#mayWrite(outputName(node), value, place);
    trail.emitted++;
    trail.writes.push(() => {
      const { items } = this.#expected.topics.get(outputName(node)) as ExpectedTopic;
      const name = keyText(key, partition);
      items.set(name, [...(items.get(name) ?? []), { value: value ?? null, origin }]);
    });
  }

  #toTable(node: Node, item: Item, trail: Trail, place: Place): void {
    const { value } = item;
    const row = value === undefined ? null : fn.rowOf(value, item, node.by === 1);
    this.#mayWrite(sinkName(tableName(node)), row ?? undefined, place);
    trail.emitted++;
    const sink = this.#sinks.get(tableName(node));
    trail.writes.push(() => sink?.items.push({ ...item, row }));
  }

  #regroup(node: Node, item: Item, trail: Trail, place: Place): void {
    if (item.value === undefined) return;
    const { by, op } = node;
    const key = op === "group-own" ? fn.ownKey(item.key, by) : fn.sharedKey(item.value, by);
    if (key === null) {
      trail.isNullKey = true;
      return;
    }
    this.#mayWrite(repartitionName(node), item.value, place);
    trail.emitted++;
    trail.writes.push(() => this.#groups.get(node.id)?.items.push({ ...item, key }));
  }

  #stateful(node: Node, item: Item, trail: Trail, place: Place): void {
    const { key, value } = item;
    const takes = node.op === "state" && fn.takesTombstones(node.by);
    if (value === undefined && !takes) {
      if (node.op === "distinct") this.#on(node, item, trail, place);
      return;
    }
    if (key === null) {
      trail.isNullKey = true;
      return;
    }
    if (node.op === "state") return this.#mapWithState(node, { ...item, key }, trail, place);
    if (value === undefined) return;
    if (node.op === "distinct") return this.#distinct(node, { ...item, key, value }, trail, place);
    this.#aggregate(node, { ...item, key, value }, trail, place);
  }

  #timer(node: Node, { key, value, originMs: now }: Item, trail: Trail): void {
    if (value === undefined) return;
    if (key === null) {
      trail.isNullKey = true;
      return;
    }
    const changed = timersSet(this.#store(node.id), { key, value, now, by: node.by });
    for (const [name, entry] of changed) this.#set(node.id, name, entry, trail);
    trail.emitted++;
  }

  /** What is late goes on by itself: of a join perhaps as a record of both sides. */
  #timed(node: Node, item: Item, trail: Trail, place: Place): void {
    if (isOperator(node)) return this.#operator(node, item, trail, place);
    const isJoin = node.op === "join";
    const late = isJoin
      ? this.#joins.take(node, item, trail)
      : Number(this.#windows.take(node.by, item, trail) && keepsLate(node.by));
    const id = isJoin ? LATE_PAIRS : LATE_NODE;
    for (let side = 0; side < late; side++)
      this.#output({ ...node, id, op: "to" }, item, trail, place);
  }

  #operator(node: Node, item: Item, trail: Trail, place: Place): void {
    const late = this.#operators.take(item, trail) ? lateNode(node) : null;
    if (late !== null) this.#output(late, item, trail, place);
  }

  /** All that stream time has passed. */
  #fire(
    nodes: readonly Node[],
    { partition, timeMs }: { partition: number; timeMs: number },
  ): void {
    const node = nodes.find(({ op }) => op === "timers");
    if (node === undefined) return;
    const store = this.#store(node.id);
    const fired = timersFired(store, partition, timeMs);
    const { items } = this.#expected.topics.get(outputName(node.then[0] as Node)) as ExpectedTopic;
    const values = fired.map(([, { value }]) => ({ value: value as Value, origin: "timers" }));
    if (values.length > 0) items.set(timerKey(partition), values);
    for (const [name] of fired) store.delete(name);
  }

  #distinct(
    node: Node,
    item: Item & { key: string; value: Value },
    trail: Trail,
    place: Place,
  ): void {
    const now = item.originMs;
    const span = spanMs(this.#flow, place.isFree);
    if (item.timeMs + span < now) {
      trail.isLate = true;
      return;
    }
    const name = `${item.key}/${String(fn.kindOf(item.value, node.by))}`;
    const content = fn.contentOf(item.value);
    const seen = this.#store(`distinct ${node.id}`).get(name);
    if (seen !== undefined && now - seen.timeMs <= span) {
      if (fn.tellsConflicts(node.by) && seen.value !== content) throw new fn.Refused();
      trail.isRepeat = true;
      return;
    }
    this.#set(`distinct ${node.id}`, name, { value: content, timeMs: now }, trail);
    this.#on(node, item, trail, place);
  }

  #mapWithState(node: Node, item: Item & { key: string }, trail: Trail, place: Place): void {
    const old = this.#store(node.id).get(item.key);
    const before = (old?.value ?? null) as number | null;
    const { state, emit } = stepped(node, before, item);
    if (state !== before) trail.emitted++;
    const timeMs = newestOf(item, old?.timeMs);
    if (state !== null || before !== null || emit.length > 0)
      this.#set(node.id, item.key, { value: state, timeMs }, trail);
    const originMs = Math.max(item.originMs, timeMs);
    for (const value of emit) this.#on(node, { ...item, value, timeMs, originMs }, trail, place);
  }

  #aggregate(
    node: Node,
    item: Item & { key: string; value: Value },
    trail: Trail,
    place: Place,
  ): void {
    const old = this.#store(node.id).get(item.key) ?? null;
    const after = aggregated(node, old === null ? null : old.value, item.value);
    if (after === null && (old === null || old.value === null)) return;
    const timeMs = Math.max(item.timeMs, old?.timeMs ?? -1);
    this.#set(node.id, item.key, { value: after, timeMs }, trail);
    trail.emitted++;
    const originMs = Math.max(item.originMs, timeMs);
    this.#on(node, { ...item, value: toldBy(node, after), timeMs, originMs }, trail, place);
  }

  #store(name: string): Map<string, Entry> {
    const store = this.#stores.get(name) ?? new Map<string, Entry>();
    this.#stores.set(name, store);
    return store;
  }

  #set(name: string, key: string, entry: Entry | null, trail: Trail): void {
    const isOwn = !name.startsWith("distinct ");
    if (isOwn && isRefused(this.#flow, changelogName(name), key)) throw new fn.Refused();
    const store = this.#store(name);
    const old = store.get(key);
    trail.undo.push(() => (old === undefined ? store.delete(key) : store.set(key, old)));
    if (entry === null) store.delete(key);
    else store.set(key, entry);
  }
}

/** A tombstone without a time of its own leaves its key the time that it has. */
const newestOf = ({ isTimeless, timeMs, originMs }: Item, oldMs: number | undefined): number =>
  isTimeless ? (oldMs ?? originMs) : Math.max(timeMs, oldMs ?? -1);

const isTimed = (node: Node): boolean => isOperator(node) || /^(windows|join)$/.test(node.op);

const stepped = (
  { by }: Node,
  before: number | null,
  { key, value }: Item & { readonly key: string },
): ReturnType<typeof fn.step> =>
  value === undefined ? fn.ended(before, key) : fn.step(before, value, by);

function outcomeOf({ emitted, isRepeat, isLate, isNullKey }: Trail, { value }: Item): string {
  if (emitted > 0) return "emitted";
  if (isLate) return "late";
  if (isRepeat) return "deduplicated";
  if (isNullKey) return "null-key";
  return value === undefined ? "tombstone" : "filtered";
}
