// What the topics of dead letters refuse: letters of records, of rows, and of what another topic has refused. Such a letter
// is stored as pointer and hash, or waits until its topic takes it.
import { decimal } from "../../../src/engine/core/decimal.ts";
import type { Special } from "../workload/traffic.ts";
import { inLedger, inTopic, type Refusal } from "./refusal.ts";
import { among, COMPACTED, large, LIMITED, remarks, some } from "./refused-outputs.ts";

const refusedRow = (note: string): Special => ({ fate: "sink", order: { note: `a\u0000${note}` } });

/** A record that each step refuses in turn, which is too large for its letter. */
const causes: readonly (() => Special)[] = [
  () => ({ fate: "rule", order: { note: large(), amount: decimal("-1") } }),
  () => ({ fate: "decode", value: (encoded) => Buffer.concat([encoded, Buffer.alloc(30_000)]) }),
  () => ({ fate: "decode", value: () => Buffer.from(large()), key: Buffer.from(large()) }),
  () => ({
    fate: "rule",
    order: { amount: decimal("-1") },
    headers: [["h", Buffer.alloc(30_000)]],
  }),
];

export const ofLetters: readonly Refusal[] = [
  {
    name: "sizes of letters",
    settings: ({ letters }) => [[letters, LIMITED]],
    specials: (random) =>
      among(
        random,
        some(random, (i) => {
          const cause = causes[i % causes.length] as () => Special;
          return { ...cause(), letter: "pointer" };
        }),
      ),
    letters: inTopic("letters", "pointer"),
  },
  {
    name: "letters larger than a segment",
    settings: ({ letters }) => [[letters, { "segment.bytes": "1048576" }]],
    specials: () => {
      const order = { note: "x".repeat(1_048_100), amount: decimal("-1") };
      return [{ fate: "rule", letter: "pointer", order }];
    },
    letters: inTopic("letters", "pointer"),
  },
  {
    name: "sizes of letters of rows",
    settings: ({ letters }) => [[letters, LIMITED]],
    specials: (random) =>
      among(
        random,
        some(random, () => ({ ...refusedRow(large()), letter: "pointer" })),
      ),
    letters: inTopic("letters", "pointer"),
  },
  {
    name: "sizes of letters of refused outputs",
    settings: ({ repartition, lettersOfSums }) => [
      [repartition, LIMITED],
      [lettersOfSums, LIMITED],
    ],
    specials: (random) =>
      among(
        random,
        some(random, () => ({
          ...{ fate: "repartition", letter: "pointer" },
          order: { note: large() },
        })),
      ),
    letters: inTopic("lettersOfSums", "pointer"),
  },
  {
    name: "sizes of letters of refused state",
    settings: ({ remarks: changelog, lettersOfSums }) => [
      [changelog, LIMITED],
      [lettersOfSums, LIMITED],
    ],
    specials: remarks("remarks", "limited"),
    // Some of the letters are no pointers: they are below the limit.
    letters: inLedger("summing", "by-shop", "size"),
  },
  {
    name: "letters without a key",
    settings: ({ letters }) => [[letters, COMPACTED]],
    specials: () => [
      { fate: "rule", key: null, letter: "pointer", order: { amount: decimal("-1") } },
    ],
    letters: inTopic("letters", "pointer"),
    stuckAt: ({ letters }) => letters,
  },
  {
    name: "letters of rows without a key",
    settings: ({ letters }) => [[letters, COMPACTED]],
    specials: () => [{ ...refusedRow(""), key: null }],
    letters: inTopic("letters", "of-table"),
    stuckAt: ({ letters }) => letters,
  },
];
