// What is stored beside records: entries of changelogs and of their copies, the metadata of a group's offsets, rows of Postgres. Whoever
// may write there may write anything.
import { RedisCopy } from "../../../src/engine/clients/redis/copy.ts";
import type { RedisConnection } from "../../../src/engine/clients/redis/connection.ts";
import type { PostgresPool, PostgresSession } from "../../../src/engine/clients/postgres/pool.ts";
import type { Headers } from "../../../src/engine/core/record.ts";
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
import { AT, checkLedger, ledger } from "./progress.ts";

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

/** Postgres runs out of stack before. */
const DEEPEST = ["[", '{"a":', '[{"a":'].map((open) => open.repeat(5_000));

/** The text of a jsonb: Postgres takes no other. */
function jsonbText(draw: Draw, value: unknown): string {
  for (;;) {
    const text = jsonBytes(draw, value).toString();
    if (isJson(text) && !DEEPEST.some((beginning) => text.includes(beginning))) return text;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const jsonb = (draw: Draw, value: unknown): unknown => JSON.parse(jsonbText(draw, value));

/** One of the three is what somebody else has written. */
interface Rows {
  readonly run: object;
  readonly progress: object;
  readonly letter: object;
}
const rows: Rows = { run, progress: progressRow, letter: letterRow };

const foreign: Readonly<Record<string, (draw: Draw) => Partial<Rows>>> = {
  range: (draw) => ({ run: { ...run, range: jsonbText(draw, JSON.parse(run.range)) } }),
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
      mustBeHeaders(headers);
    const { ledger: counts = null } = (await readProgress(session(found.progress), task)) ?? {};
    if (counts === null) return "refused";
    checkLedger(counts);
    return "taken";
  },
});

function mustBeHeaders(headers: Headers): void {
  for (const [name, value] of headers)
    must(typeof name === "string" && (value === null || Buffer.isBuffer(value)), "no header");
}

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
      const { keys, nextMs } = await copy.due(Infinity, 9, 0);
      numbers.push(nextMs, ...keys.map(({ dueMs }) => dueMs));
    }
    if (question === "scan")
      numbers.push(...(await copy.scan(null, 9)).entries.map(({ dueMs }) => dueMs));
    must(!numbers.some(Number.isNaN), "a time is no number");
    return "taken";
  },
});
