// The smallest case of each rule in which Kafka Streams differs: nothing else is different in it.
import { type Case, type Fed, type Operator, ported } from "./cases.ts";
import type { Rule } from "./reference/rows.ts";

const END = 1_000_000;

/** Records as "left k 2000", in their order. */
function made(operator: Operator, grace: number, texts: readonly string[]): Case {
  const records = texts.map((text, i): Fed => {
    const [topic, key = "", t] = text.split(" ");
    return { topic: topic as Fed["topic"], key, t: Number(t), value: `v${String(i)}` };
  });
  const retention = operator.kind === "join" ? null : 10 * END;
  return { operator, grace, ourGrace: ported(operator, grace), retention, onDisk: true, records };
}

const inner = { kind: "join", type: "inner", before: 0, after: 5 } as const;
const left = { kind: "join", type: "left", before: 0, after: 0 } as const;
const end = `left end ${String(END)}`;

export const smallest: Readonly<Record<Rule, Case>> = {
  "row time": made({ kind: "tumbling", size: 10 }, 0, ["left k 3", end]),
  // [1991, 1999] is open still, the window of 1991 itself is not; so theirs have nothing of 1991 when 1995 comes.
  "sliding windows": made({ kind: "sliding", difference: 8 }, 3, [
    "left x 2001",
    "left k 1991",
    "left k 1995",
    end,
  ]),
  "session late": made({ kind: "session", gap: 3 }, 0, [
    "left k 2000",
    "left k 2003",
    "left k 2006",
    "left k 2001",
    end,
  ]),
  "session close": made({ kind: "session", gap: 3 }, 0, [
    "left k 2000",
    "left x 2004",
    "left k 2001",
    end,
  ]),
  "join late": made(inner, 0, ["right k 2001", "left x 2010", "left k 2001"]),
  "join kept": made(inner, 0, ["left k 2000", "left x 2005", "right k 2000"]),
  "join unmatched": made(left, 0, ["left k 2000", "left x 2001"]),
};
