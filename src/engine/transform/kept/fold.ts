// The ways in which windows make their aggregates of records: as these come, or when the window closes, of all its records in
// the order of their times and origins (O3).
import { Mistake, settled } from "../../core/errors.ts";
import type { RecordContext } from "../../core/record.ts";
import {
  plainKeeping,
  queuedOf,
  recordOf,
  type Keeping,
  type QueuedRecord,
} from "../calls/key-queue.ts";
import {
  present,
  type CompileOptions,
  type Item,
  type KeptResult,
  type Views,
  type Want,
} from "../operator.ts";
import { EarlyShapes } from "./early-shapes.ts";
import {
  forget,
  recordsOf,
  takeOut,
  wantAll,
  wantLast,
  withKept,
  NO_RUNS,
  type RunPlace,
  type RecordRuns,
} from "./runs.ts";

/** The functions of a fold. */
export interface FoldFunctions {
  readonly init: (key: unknown) => unknown;
  readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
  readonly finish: (aggregate: unknown) => unknown;
  /** Makes one aggregate of two, that of the earlier records first. */
  readonly merge?: (a: unknown, b: unknown) => unknown;
}

/** The record of a window that is folded. */
type Folded = Pick<Item, "value"> & { readonly record: Pick<Item["record"], "context"> };

/** The aggregates of windows, as their store keeps them. */
export interface WindowFold {
  /** The store of the records that it keeps; null: it keeps none. */
  readonly store: string | null;
  /** A record is about to come. */
  meets(item: Item): void;
  /** The aggregate with the record in it; of null, the first, of a window or a part that these two numbers name. */
  added(aggregate: unknown, item: Item, views: Views, a: number, b?: number): unknown;
  /** Merges two aggregates, that of the earlier records first. */
  merged(a: unknown, b: unknown): unknown;
  /** The result of a window; undefined where nothing is left of its records. */
  result(aggregate: unknown, key: Buffer, views: Views): unknown;
  /** Asks for what `added` needs. */
  wantLast(aggregate: unknown, key: Buffer, want: Want): void;
  /** Asks for what `result`, `forget` and `takeOut` need. */
  wantAll(aggregate: unknown, key: Buffer, want: Want): void;
  /** No window needs the aggregate any more. */
  forget(aggregate: unknown, key: Buffer, views: Views): void;
  /** Takes out the first record that the user's fold fails for; null where there is none. */
  takeOut(aggregate: unknown, key: Buffer, views: Views): KeptResult | null;
}

/** The aggregate with a record in it. */
function folded({ init, add }: FoldFunctions, aggregate: unknown, one: Folded): unknown {
  const { context } = one.record;
  const after = present(add(aggregate ?? settled(init(context.key)), one.value, context));
  if (after === null) throw new Mistake("the aggregate of a window is never null");
  return after;
}

const nothing = (): void => undefined;

/** Folds records as they come. */
export const foldingAtOnce = (functions: FoldFunctions): WindowFold => ({
  store: null,
  meets: nothing,
  added: (aggregate, item) => folded(functions, aggregate, item),
  merged: (a, b) => present(functions.merge?.(a, b)),
  result: (aggregate) => functions.finish(aggregate),
  wantLast: nothing,
  wantAll: nothing,
  forget: nothing,
  takeOut: () => null,
});

/** Keeps the records of a window, and folds them when it closes. */
export class FoldAtClose implements WindowFold {
  readonly store: string;
  readonly #functions: FoldFunctions;
  readonly #originOf: CompileOptions["originOf"];
  readonly #keeping: Keeping;
  readonly #early: EarlyShapes;

  constructor(
    functions: FoldFunctions,
    store: Parameters<CompileOptions["keepingOf"]>[0]["store"] & { readonly name: string },
    options: CompileOptions,
  ) {
    this.store = store.name;
    this.#functions = functions;
    this.#originOf = options.originOf;
    this.#keeping = options.keepingOf({ store });
    this.#early = new EarlyShapes(options);
  }

  meets({ value }: Item): void {
    if (value !== undefined) this.#early.note(this.store, value);
  }

  added(aggregate: unknown, item: Item, views: Views, a: number, b = 0): unknown {
    const { record: own, value, origin: of } = item;
    const { raw } = own;
    const origin = this.#originOf?.(raw, of);
    const light = { ...own, raw: { ...raw, value: null } };
    const kept = queuedOf(this.#keeping, { record: light, value });
    const record = origin === undefined ? kept : { ...kept, origin };
    const bytes = raw.value?.length ?? null;
    const place = this.#placeOf(raw.key as Buffer, views);
    return withKept(place, (aggregate ?? NO_RUNS) as RecordRuns, { record, name: [a, b], bytes });
  }

  merged(a: unknown, b: unknown): RecordRuns {
    return [...(a as RecordRuns), ...(b as RecordRuns)];
  }

  result(aggregate: unknown, key: Buffer, views: Views): unknown {
    const records = this.#sorted(aggregate as RecordRuns, key, views);
    let result: unknown = null;
    for (const one of records) result = this.#with(result, one);
    return records.length === 0 ? undefined : this.#functions.finish(result);
  }

  #with(aggregate: unknown, kept: QueuedRecord): unknown {
    return folded(this.#functions, aggregate, recordOf(plainKeeping, kept));
  }

  /** By time, then by origin; of one origin, as they came. */
  #sorted(runs: RecordRuns, key: Buffer, views: Views): readonly QueuedRecord[] {
    const records = recordsOf(this.#placeOf(key, views), runs);
    // mistake: window folded as records came
    return records.toSorted((a, b) => a.eventTime - b.eventTime || byOrigin(a, b));
  }

  wantLast(aggregate: unknown, key: Buffer, want: Want): void {
    wantLast(this.store, aggregate as RecordRuns, key, want);
  }

  wantAll(aggregate: unknown, key: Buffer, want: Want): void {
    wantAll(this.store, aggregate as RecordRuns, key, want);
  }

  forget(aggregate: unknown, key: Buffer, views: Views): void {
    forget(this.#placeOf(key, views), aggregate as RecordRuns);
  }

  takeOut(aggregate: unknown, key: Buffer, views: Views): KeptResult | null {
    let result: unknown = null;
    for (const one of this.#sorted(aggregate as RecordRuns, key, views))
      try {
        result = this.#with(result, one);
      } catch {
        takeOut(this.#placeOf(key, views), aggregate as RecordRuns, one);
        const { record } = recordOf(plainKeeping, one);
        return { value: one, record, waitedIn: this.store, place: placeOf(one) };
      }
    return null;
  }

  #placeOf(key: Buffer, views: Views): RunPlace {
    return { view: views.view(this.store), key };
  }
}

const NO_ORIGIN = Buffer.of();

const byOrigin = (
  { origin: a = NO_ORIGIN }: QueuedRecord,
  { origin: b = NO_ORIGIN }: QueuedRecord,
) => Buffer.compare(a, b);

/** Several records of one window may fail, each with a letter of its own. */
const placeOf = ({ origin = NO_ORIGIN, eventTime, key }: QueuedRecord): string =>
  `${String(eventTime)} ${Buffer.from(origin).toString("latin1")} ${Buffer.from(key).toString("latin1")}`;
