// What is stored beside records: entries of changelogs and of their copies, the metadata of a group's offsets, rows of Postgres. Whoever
// may write there may write anything.
import { RedisCopy } from "../../../src/engine/clients/redis/copy.ts";
import type { RedisConnection } from "../../../src/engine/clients/redis/connection.ts";
import type { PostgresPool, PostgresSession } from "../../../src/engine/clients/postgres/pool.ts";
import { SourceTime } from "../../../src/engine/core/event-time.ts";
import {
  addLedger,
  emptyLedger,
  imbalanceOf,
  ledgerTotals,
  type LedgerCounts,
} from "../../../src/engine/core/ledger.ts";
import {
  decodeMetadata,
  encodeMetadata,
  TaskInputs,
} from "../../../src/engine/core/task-inputs.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { rangeText, Runs } from "../../../src/engine/reprocess/words/rows.ts";
import type { RunRow } from "../../../src/engine/reprocess/words/run.ts";
import { detailOf } from "../../../src/engine/reprocess/words/steps.ts";
import { readLetters } from "../../../src/engine/sinks/postgres/outbox.ts";
import { readProgress } from "../../../src/engine/sinks/postgres/progress-row.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { storedRun } from "../../support/stored-run.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBePlain, mustBeSame, type AnyKind, type Verdict } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";
import { oddText } from "../mutate/words.ts";

const noSchemas = { schemas: { get: () => "unknown" }, writerId: null } as const;
const entryCodecs = (["tagged-json", "string", "long"] as const).map((kind) =>
  entryCodec(compileCodec({ kind }, noSchemas), "total"),
);
const entries = [
  ...[{ n: 7 }, "text", 9].map((value, i) => {
    const codec = entryCodecs[i] as (typeof entryCodecs)[0];
    return [value, null].map((one) =>
      [null, 1_767_225_600_000].map((dueMs) =>
        codec.encode({ value: one, timestamp: 1_000, dueMs }),
      ),
    );
  }),
].flat(2);
const KEY = Buffer.from("k");

export const entryKind: AnyKind = kindOf({
  ...{ name: "entries", codes: /^MILL_STATE_(FORMAT|ENTRY)$/, weight: 2 },
  make: (draw: Draw) => ({
    codec: draw.of(entryCodecs),
    bytes: mutated(draw, draw.of(entries), draw.of(entries)),
  }),
  read({ codec, bytes }): Verdict {
    codec.unknownId(bytes);
    const entry = codec.decode(KEY, bytes);
    mustBePlain(entry.value);
    mustBeSame(codec.dueOf(KEY, bytes), entry.dueMs, "an entry has two dues");
    const again = codec.decode(KEY, codec.encode(entry));
    mustBeSame(again, entry, "an entry is another when it is written");
    return "taken";
  },
});

const ledger: LedgerCounts = {
  ...{ ...emptyLedger(), consumed: 10, emitted: 6 },
  ...{ filtered: { small: 3 }, "dead-lettered": { rule: 1 } },
};
const metadata = [
  { owner: "millrace-w1", ledger },
  { owner: "millrace-w2", ledger, streamTimeMs: 1_767_225_600_000, loadTo: 9n },
].map(encodeMetadata);

/** The sums that are made of a ledger, and what goes on from it. */
function checkLedger(stored: LedgerCounts): void {
  const sum = addLedger(emptyLedger(), stored);
  const counts = [imbalanceOf(sum), ...Object.values(ledgerTotals(sum))];
  must(counts.every(Number.isSafeInteger), "a ledger has counts that are no numbers");
  mustBePlain(sum);
}

export const metadataKind: AnyKind = kindOf({
  ...{ name: "metadata", codes: /^MILL_PROGRESS_INVALID$/, weight: 2 },
  make: (draw: Draw) => jsonBytes(draw, JSON.parse(draw.of(metadata))).toString(),
  read(text: string): Verdict {
    const found = decodeMetadata(text);
    if (found === null) return "refused";
    checkLedger(found.ledger);
    const { time = {}, loadTo = null } = found;
    const times = [time.time, time.asserted, ...(time.channels ?? [])];
    must(!times.some(Number.isNaN), "a time is no number");
    const start = { topic: "in", partition: 0, nextOffset: 5n, time, loadTo };
    const timeOf = (): SourceTime => new SourceTime(time);
    const inputs = new TaskInputs(0, [{ ...start, ledger: found.ledger }], timeOf);
    inputs.advance("in", 6n, 7, []);
    for (const progress of inputs.take("me")) {
      must(Buffer.byteLength(progress.metadata) <= 4_096, "metadata that no broker takes");
      must(decodeMetadata(progress.metadata) !== null, "metadata that nobody reads");
    }
    return "taken";
  },
});

const AT = { topic: "in", partition: 0 };
const stand = { part: "main", topic: "in", partition: 0, nextOffset: "5", isForeign: true };
const stands = [{ ...stand, metadata: null, ledger }];
const promote = { hold: false, corrections: true, storesBefore: null, corrected: 0, stands };
const at = { part: "main", topic: "in", partition: 0, from: 1n, to: 5n };
const run = {
  ...{ ...storedRun, pipeline: "flow", detail: { promote, held: { untilMs: 5 } } },
  range: rangeText({ places: [at as never], own: [], pins: { in: [5n] } }),
};
const progressRow = { next_offset: "5", epoch: "2", ledger };
const letterHeaders = Buffer.from(
  JSON.stringify([
    ["dlq.id", "YWI="],
    ["trace", null],
  ]),
);
const letterRow = {
  ...{ id: "a", letter_topic: "t", letter_partition: 0, letter_key: null, letter_value: null },
  ...{ letter_headers: letterHeaders, letter_timestamp: "5" },
};

/** jsonb: what JSON.parse makes of it. */
const jsonb = (draw: Draw, value: unknown): unknown => {
  for (;;) {
    try {
      return JSON.parse(jsonBytes(draw, value).toString());
    } catch {
      // Postgres takes no other.
    }
  }
};

/** One of the three is what somebody else has written. */
interface Rows {
  readonly run: object;
  readonly progress: object;
  readonly letter: object;
}
const rows: Rows = { run, progress: progressRow, letter: letterRow };

const foreign: Readonly<Record<string, (draw: Draw) => Partial<Rows>>> = {
  range: (draw) => ({
    run: { ...run, range: jsonBytes(draw, JSON.parse(run.range)).toString() },
  }),
  options: (draw) => ({ run: { ...run, options: jsonb(draw, run.options) } }),
  counts: (draw) => ({ run: { ...run, counts: jsonb(draw, run.counts) } }),
  detail: (draw) => ({ run: { ...run, detail: jsonb(draw, run.detail) } }),
  progress: (draw) => ({ progress: { ...progressRow, ledger: jsonb(draw, ledger) } }),
  letter: (draw) => ({
    letter: { ...letterRow, letter_headers: jsonBytes(draw, JSON.parse(String(letterHeaders))) },
  }),
};

const answering = (row: object) => ({ query: () => Promise.resolve({ rows: [row], count: 1 }) });

function checkRun(found: RunRow | undefined): void {
  must(found !== undefined, "a run is lost");
  mustBePlain(found.range);
  for (const { nextOffset } of detailOf(found)?.positions ?? [])
    must(nextOffset >= 0n, "a position is no offset");
}

export const rowKind: AnyKind = kindOf({
  ...{ name: "rows", codes: /^MILL_(RUN|OUTBOX)_INVALID$/, weight: 1 },
  make: (draw: Draw): Rows => ({ ...rows, ...foreign[draw.of(Object.keys(foreign))]?.(draw) }),
  async read(found: Rows): Promise<Verdict> {
    const task = { ...AT, pipeline: "flow", part: "rows" };
    const pool = answering(found.run) as unknown as PostgresPool;
    const [first] = await new Runs(pool, { now: () => 0 }).list("flow");
    checkRun(first);
    const session = (row: object): PostgresSession => answering(row) as unknown as PostgresSession;
    for (const { headers } of await readLetters(session(found.letter), task, 9))
      for (const [name, value] of headers)
        must(typeof name === "string" && (value === null || Buffer.isBuffer(value)), "no header");
    const { ledger: counts = null } = (await readProgress(session(found.progress), task)) ?? {};
    if (counts === null) return "refused";
    checkLedger(counts);
    return "taken";
  },
});

/** The answers of Redis to one question of a copy. */
type Reply = readonly unknown[];
const textOrOdd = (draw: Draw, text: string): Buffer | null =>
  draw.chance(0.1) ? null : Buffer.from(draw.chance(0.4) ? oddText(draw) : text);

const replies: Readonly<Record<string, (draw: Draw) => Reply>> = {
  position: (draw) => [...head(draw), textOrOdd(draw, "1767225600000"), draw.below(2)],
  read: (draw) => [...head(draw), mutated(draw, draw.of(entries)), null],
  due: (draw) => [...head(draw), draw.below(2), dues(draw), dues(draw)],
  scan: (draw) => [
    ...head(draw),
    ...[Buffer.from("token"), textOrOdd(draw, "0") ?? Buffer.from("0")],
    ...[draw.list(0, 3, () => [mutated(draw, KEY), mutated(draw, draw.of(entries))]).flat()],
    draw.list(0, 3, () => textOrOdd(draw, "5")),
  ],
};
const head = (draw: Draw): Reply => [textOrOdd(draw, "2"), textOrOdd(draw, "17")];
const dues = (draw: Draw): Reply =>
  draw.list(0, 3, () => [mutated(draw, KEY), textOrOdd(draw, "5") ?? KEY]).flat();

export const copyKind: AnyKind = kindOf({
  ...{ name: "copies", codes: /^MILL_STATE_(FORMAT|COPY)$/, weight: 1 },
  make(draw: Draw) {
    const question = draw.of(Object.keys(replies));
    return { question, reply: replies[question]?.(draw) ?? [] };
  },
  async read({ question, reply }): Promise<Verdict> {
    const redis = {
      address: "redis",
      script: () => Promise.resolve(reply),
      run: () => Promise.resolve(reply),
    };
    const options = { random: { next: () => 0, token: () => "x" }, rebuildTtlMs: 9 };
    const copy = new RedisCopy(redis as unknown as RedisConnection, "{k}", options);
    const numbers: unknown[] = [];
    if (question === "position") numbers.push((await copy.position())?.timeMs);
    if (question === "read") await copy.read([KEY, KEY]);
    if (question === "due") {
      const { keys, nextMs } = await copy.due(Infinity, 9);
      numbers.push(nextMs, ...keys.map(({ dueMs }) => dueMs));
    }
    if (question === "scan")
      numbers.push(...(await copy.scan(null, 9)).entries.map(({ dueMs }) => dueMs));
    must(!numbers.some(Number.isNaN), "a time is no number");
    return "taken";
  },
});
