// Records that are no good, or good in a way that breaks careless programs: what must become of each is said beside it
// (its fate), and the oracle counts.
import { gzipSync } from "node:zlib";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { GRACE_MS, ONCE_MS } from "../../support/apps/chaos.ts";
import type { OddTick } from "../workload/ticks.ts";
import type { Special } from "../workload/traffic.ts";
import type { World } from "../world/world.ts";
import type { Fault } from "./fault.ts";

type Damage = (encoded: Buffer) => Buffer;

const HEADER_BYTES = 5;
const instead =
  (bytes: Buffer | string): Damage =>
  () =>
    Buffer.from(bytes as string);
const bodyOf = (encoded: Buffer, body: Buffer): Buffer =>
  Buffer.concat([encoded.subarray(0, HEADER_BYTES), body]);
/** Other bytes from the first letter of the first field on. */
const patched =
  (bytes: readonly number[]): Damage =>
  (encoded) => {
    const copy = Buffer.from(encoded);
    copy.set(bytes, HEADER_BYTES + 1);
    return copy;
  };

const damages: Readonly<Record<string, Damage>> = {
  "no bytes": instead(""),
  "another magic byte": (encoded) => Buffer.concat([Buffer.of(1), encoded.subarray(1)]),
  "three bytes": (encoded) => encoded.subarray(0, 3),
  "a header alone": (encoded) => encoded.subarray(0, HEADER_BYTES),
  "cut in half": (encoded) => encoded.subarray(0, Math.floor(encoded.length / 2)),
  "one byte short": (encoded) => encoded.subarray(0, -1),
  "one byte too long": (encoded) => Buffer.concat([encoded, Buffer.of(0)]),
  "many zeros behind it": (encoded) => Buffer.concat([encoded, Buffer.alloc(1_000)]),
  "a JSON object": instead('{"id":"o1","amount":1}'),
  "JSON cut off": instead('{"id":"o1","amo'),
  "JSON with a byte order mark": instead('\ufeff{"id":"o1"}'),
  "JSON that would pollute": instead('{"__proto__":{"polluted":true}}'),
  "JSON nested 100,000 deep": instead("[".repeat(100_000)),
  "a number too great": instead("1e400"),
  "not a number": instead("NaN"),
  "text in UTF-16": () => Buffer.from("order", "utf16le"),
  "bad UTF-8 in a field": patched([0xc3, 0x28]),
  "a lone surrogate in a field": patched([0xed, 0xa0]),
  "a negative length": (encoded) => bodyOf(encoded, Buffer.of(0x01, 0x61, 0x62)),
  "a lying length": (encoded) => bodyOf(encoded, Buffer.of(0xfe, 0xff, 0xff, 0xff, 0x0f, 0x61)),
  "a number without end": (encoded) => bodyOf(encoded, Buffer.alloc(20, 0xff)),
  "compressed bytes": (encoded) => gzipSync(encoded),
  "a compression bomb": () => gzipSync(Buffer.alloc(5_000_000)),
};

const records = (
  row: number,
  name: string,
  how: string,
  of: (world: World) => Special[],
): Fault => ({
  row,
  name,
  how,
  brokers: 1,
  async inject(world) {
    const specials = of(world);
    const fired = await world.traffic.inject(specials);
    const note = "acknowledged by Kafka; the oracle counts what became of them";
    return { planned: specials.length, fired, note };
  },
});

const poison = records(
  30,
  "poison records",
  `${String(Object.keys(damages).length)} kinds of broken bytes, and a step that throws`,
  () => [
    ...Object.values(damages).map((value): Special => ({ fate: "decode", value })),
    { fate: "transform", order: { note: "throw" } },
  ],
);

/** The broker takes 1,048,588 bytes of a batch; a letter is longer than its record by its headers. */
const large = records(
  31,
  "records near the limit",
  "a good one of 900 kB, and a refused one that leaves its letter no room",
  () => [
    { fate: "good", order: { note: "x".repeat(900_000) } },
    { fate: "rule", order: { note: "x".repeat(1_048_200), amount: decimal("-1") } },
  ],
);

const odd = records(
  32,
  "odd keys, values and headers",
  "no key, an empty key, a tombstone, headers that are null, repeated, binary or empty",
  () => [
    { fate: "keyless", key: null },
    { fate: "keyless", key: null },
    { fate: "good", key: Buffer.alloc(0) },
    { fate: "tombstone", value: () => null },
    {
      fate: "good",
      headers: [
        ["empty", Buffer.alloc(0)],
        ["none", null],
        ["twice", Buffer.from("1")],
        ["twice", Buffer.from("2")],
        ["binary", Buffer.of(0, 255, 128)],
        ["", Buffer.from("no name")],
        ["dlq.class", Buffer.from("forged")],
      ],
    },
    {
      fate: "rule",
      order: { amount: decimal("-1") },
      headers: [
        ["dlq.class", Buffer.from("forged")],
        ["dlq.offset", Buffer.from("-1")],
      ],
    },
  ],
);

const ORDERS_OUT_OF_ORDER = 200;
const ORDERS_AGAIN = 100;
const TICKS = 40;

/** Ticks whose times go back by up to the grace of what waits for them, and by far more, in turn. */
const disorderedTicks = (): OddTick[] =>
  Array.from({ length: TICKS }, (_, i) => ({
    shiftMs: i % 2 === 0 ? (i * 97) % GRACE_MS : 3 * GRACE_MS + i * 200,
  }));

const disordered: Fault = {
  row: 35,
  name: "records out of order in time",
  how: "200 orders whose timestamps jump by up to ten minutes either way; ticks of windows, a join and timers in turn within the grace and far beyond it",
  brokers: 1,
  async inject({ traffic }) {
    const orders = Array.from({ length: ORDERS_OUT_OF_ORDER }, (_, i): Special => {
      const shiftMs = ((i * 7_919) % 1_200_000) - 600_000;
      return { fate: "good", timestamp: Date.now() + shiftMs };
    });
    const ticks = disorderedTicks();
    const sent = await Promise.all([traffic.inject(orders), traffic.injectTicks(ticks)]);
    const fired = sent.reduce((a, b) => a + b);
    const note = "acknowledged by Kafka; the oracle says which ticks are late, and for what";
    return { planned: orders.length + ticks.length, fired, note };
  },
};

/** In turn a tick of just now, one that is no repeat any more, and one with the time that it had. */
const repeatedTicks = (): OddTick[] =>
  Array.from({ length: TICKS }, (_, i): OddTick => {
    const againMs = i % 3 === 0 ? ONCE_MS / 4 : 2 * ONCE_MS;
    return i % 3 === 2 ? { againMs, shiftMs: againMs } : { againMs };
  });

const repeated: Fault = {
  row: 36,
  name: "records sent twice",
  how: "100 orders sent again under their ids: sums count them once, what has no distinct has them twice; ticks sent again within the span of a distinct, behind it, and with their old times",
  brokers: 1,
  async inject({ traffic }) {
    const orders = traffic.recent
      .slice(0, ORDERS_AGAIN)
      .map((order): Special => ({ fate: "good", order }));
    const ticks = repeatedTicks();
    const sent = await Promise.all([traffic.inject(orders), traffic.injectTicks(ticks)]);
    const fired = sent.reduce((a, b) => a + b);
    const note = "acknowledged by Kafka; the oracle counts what became of them";
    return { planned: orders.length + ticks.length, fired, note };
  },
};

const refusedRows = records(
  26,
  "rows that Postgres refuses",
  "20 rows with a NUL letter (22021) and 20 that break a check (23514), among good ones",
  () =>
    Array.from({ length: 40 }, (_, i): Special => ({
      fate: "sink",
      order: i % 2 === 0 ? { note: "a\u0000b" } : { shop: "Forbidden" },
    })),
);

const codecs = ["gzip", "snappy", "lz4", "zstd"] as const;

const compressed: Fault = {
  row: 33,
  name: "every compression",
  how: "the broker stores the input by gzip, snappy, lz4 and zstd in turn, each for 2 s",
  brokers: 1,
  async inject({ checking, app, traffic }) {
    const { admin } = checking;
    const topic = app.orders.name;
    let fired = 0;
    for (const codec of codecs) {
      await admin.alterTopicConfig(topic, { "compression.type": codec });
      // Large enough that the broker has something to gain.
      await traffic.inject(
        Array.from({ length: 100 }, (): Special => ({
          fate: "good",
          order: { note: "again and ".repeat(50) },
        })),
      );
      const found = await admin.describeTopics([topic]);
      if (found.get(topic)?.config["compression.type"] === codec) fired++;
    }
    await admin.alterTopicConfig(topic, { "compression.type": "producer" });
    return { planned: codecs.length, fired, note: codecs.join(", ") };
  },
};

export const recordFaults: readonly Fault[] = [
  refusedRows,
  poison,
  large,
  odd,
  compressed,
  disordered,
  repeated,
];
