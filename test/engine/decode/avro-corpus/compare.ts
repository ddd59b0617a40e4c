// Ours beside Java's, record by record. Every difference has a reason here, or the comparison fails.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { parseAvro } from "../../../../src/engine/core/avro-parser.ts";
import { ConfigError, DecodeError } from "../../../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../../../src/engine/core/schema.ts";
import { codecOf } from "../avro-support.ts";
import type { Case } from "./corpus.ts";
import type { Answer } from "./java.ts";
import { shown } from "./shown.ts";

const WRITER = 9;

interface Difference {
  readonly reason: string;
  readonly ours: RegExp | "value";
  readonly java: RegExp | "value";
  /** For two values: leaves out of the text what may differ, so the rest must be the same. */
  readonly alike?: (text: string) => string;
}
/** The answer of either is a value, or the reason why there is none. */
export const differences: readonly Difference[] = [
  {
    reason: "a long that a number cannot hold exactly is refused, never rounded",
    ours: /a long is beyond/,
    java: "value",
  },
  {
    reason: "bytes that are no UTF-8 are no text; Java puts another character for them",
    ours: /a string is not UTF-8/,
    java: "value",
  },
  {
    reason: "a unit of time is part of the type: Java takes microseconds for milliseconds",
    ours: /: (date|time-\w+|timestamp-\w+|local-timestamp-\w+) cannot be read as (date|time|timestamp|local)/,
    java: "value",
  },
  {
    reason: "a decimal of more digits than its schema has is refused",
    ours: /a decimal has more than \d+ digits/,
    java: "value",
  },
  {
    reason: "a date that no calendar text can show is refused",
    ours: /a date lies outside/,
    java: "value",
  },
  {
    reason: "the characters of a text are not taken for the bytes of a decimal",
    ours: /: string cannot be read as bytes/,
    java: "value",
  },
  {
    reason: "a decimal of another scale keeps its value: Java reads 12.30 as 0.1230",
    ours: "value",
    java: "value",
    alike: (text) => text.replace(/"(-?\d+?)0*"/g, '"$1"'),
  },
  {
    reason: "a branch is found by its full name; Java takes it by position if short names agree",
    ours: "value",
    java: "value",
    alike: (text) => text.replace(/"\w+\.(\w+)":/g, '"$1":'),
  },
  {
    reason: "a fixed or an enum of another name is read: its size or its symbols say enough",
    ours: "value",
    java: /^Found \S*T\d+, expecting (\S+$|union\[)/,
  },
  {
    reason: "a field's alias is taken whatever the name of its record",
    ours: "value",
    java: /missing required field (\w+_new|renamed)/,
  },
  {
    reason: "a writer's default is never looked at; Java still reads the text of a number",
    ours: "value",
    java: /^For input string|^empty String/,
  },
];

export interface Outcome {
  readonly same: number;
  readonly refusedByBoth: number;
  /** How often each reason was needed. */
  readonly differing: ReadonlyMap<string, number>;
}

/** Throws for the first record that differs without a listed reason. */
export function compared(cases: readonly Case[]): Outcome {
  const differing = new Map(differences.map(({ reason }) => [reason, 0]));
  let same = 0;
  let refusedByBoth = 0;
  for (const [at, one] of cases.entries())
    ours(one).forEach((mine, i) => {
      const java = one.java[i] as Answer;
      if ("error" in mine && "error" in java) refusedByBoth++;
      else if ("ok" in mine && "ok" in java && isDeepStrictEqual(mine.ok, java.ok)) same++;
      else {
        const found = differences.find((d) => explains(d, mine, java));
        const both = `ours: ${JSON.stringify(mine)}\njava: ${JSON.stringify(java)}`;
        assert.ok(
          found,
          `pair ${String(at)}, record ${String(i)}\n${JSON.stringify(one)}\n${both}`,
        );
        differing.set(found.reason, (differing.get(found.reason) ?? 0) + 1);
      }
    });
  return { same, refusedByBoth, differing };
}

function explains({ ours, java, alike }: Difference, mine: Answer, theirs: Answer): boolean {
  if (!fits(ours, mine) || !fits(java, theirs)) return false;
  return alike === undefined || alike(JSON.stringify(mine)) === alike(JSON.stringify(theirs));
}
const fits = (wanted: RegExp | "value", answer: Answer): boolean =>
  wanted === "value" ? "ok" in answer : "error" in answer && wanted.test(answer.error);

/** The answers of our codec to the records of a pair, in the corpus' words. */
export function ours({ writer, reader, bodies }: Case): readonly Answer[] {
  const read = readerOf(reader as AvroSchema, writer as AvroSchema);
  return bodies.map((body) => {
    try {
      return { ok: read(body) };
    } catch (error) {
      assert.ok(error instanceof DecodeError || error instanceof ConfigError, String(error));
      assert.match(error.message, /: ./, "a refusal has a reason");
      return { error: error.message };
    }
  });
}

function readerOf(reader: AvroSchema, writer: AvroSchema): (body: string) => unknown {
  try {
    const shape = parseAvro(reader);
    const codec = codecOf(reader, { [WRITER]: writer });
    // Through JSON, so that both have the same kinds of zero.
    return (body) =>
      JSON.parse(JSON.stringify(shown(shape, codec.decode(recordOf(body))))) as unknown;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** A record as Kafka has it: header and body. */
export const recordOf = (body: string): Buffer => {
  const head = Buffer.alloc(5);
  head.writeInt32BE(WRITER, 1);
  return Buffer.concat([head, Buffer.from(body, "hex")]);
};
