// Five seconds of the fuzzer, always the same cases; and faults that are planted, each of which it must find.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { play, type Report } from "./campaign.ts";
import { fuzz } from "./command.ts";
import type { Draw } from "./draw.ts";
import { inputOf } from "./judge.ts";
import { kindOf, must, type AnyKind, type Read } from "./kind.ts";
import { kinds as endless } from "./endless.ts";
import { kinds } from "./kinds/index.ts";
import { jsonBytes } from "./mutate/json.ts";
import { watched } from "./watched.ts";

/** For each point of weight: five seconds on a machine that does nothing else. */
const CASES = 100;

const kindsOf = (module: string): string => new URL(module, import.meta.url).href;

test("whatever anybody writes is read, or refused with a code: no raw error, no block, no memory kept", async (t) => {
  const lines: string[] = [];
  const code = await watched({
    ...{ argv: ["--seed", "1", "--cases", String(CASES)], kinds: kindsOf("./kinds/index.ts") },
    ...{ print: (line) => void lines.push(line), stuckMs: 60_000 },
  });
  for (const line of lines) t.diagnostic(line);
  assert.equal(code, 0, lines.join("\n"));
  assert.match(lines.at(-1) ?? "", /^seed 1: \d{4,} cases, 0 findings, /);
});

test("a case that does not end is named", async () => {
  const lines: string[] = [];
  const code = await watched({
    ...{ argv: ["--seed", "3", "--minutes", "1"], kinds: kindsOf("./endless.ts") },
    ...{ print: (line) => void lines.push(line), stuckMs: 1_000 },
  });
  assert.equal(code, 1);
  const found = /^wrong: --seed 3 --kind endless --case (\d+)\n {2}it does not end$/.exec(
    lines[1] ?? "",
  );
  assert.ok(found !== null, lines.join("\n"));
  assert.equal(inputOf(endless[0] as AnyKind, 3, Number(found[1])), 7);
});

test("each kind draws what is taken and what is refused, and the same for the same seed", async () => {
  for (const kind of kinds) {
    const { tallies } = await play({ seed: 7, kinds: [kind], cases: 40 });
    const { taken = 0, refused = 0 } = tallies.get(kind.name) ?? {};
    assert.ok(taken > 0 && refused > 0, `${kind.name}: ${String(taken)} and ${String(refused)}`);
    const [one, again, other] = [3, 3, 4].map((seed) =>
      inspect(inputOf(kind, seed, 5), { depth: 9 }),
    );
    assert.equal(one, again, kind.name);
    assert.notEqual(one, other, kind.name);
  }
});

/** JSON near to an order, read by a parser of which only the fault is known. */
const planted = (read: (bytes: Buffer) => Read): AnyKind =>
  kindOf({
    ...{ name: "planted", codes: /^MILL_DECODE_JSON$/, weight: 1 },
    make: (draw: Draw) => jsonBytes(draw, { id: "o1", lines: [{ n: 1 }], note: null }),
    read,
  });

/** Behind one that is well: memory is counted from there on. */
async function found(kind: AnyKind): Promise<Report["findings"]> {
  const well = planted(() => "taken");
  return (await play({ seed: 1, kinds: [well, kind], cases: 400 })).findings;
}

/** As the parsers that are planted should do it. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw new MillraceError("MILL_DECODE_JSON", "");
  }
}

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0;

type Tree = Record<string, unknown>;
function merged(into: Tree, from: Tree): Tree {
  for (const [name, value] of Object.entries(from))
    if (typeof value === "object" && value !== null && typeof into[name] === "object")
      merged(into[name] as Tree, value as Tree);
    else into[name] = value;
  return into;
}

function busy(ms: number): void {
  const begun = process.threadCpuUsage().user;
  while (process.threadCpuUsage().user - begun < ms * 1_000);
}

const kept: Buffer[] = [];
/** A case is played four times before it counts. */
let blocks = 0;

const faults: Readonly<Record<string, readonly [RegExp, (bytes: Buffer) => Read]>> = {
  "a raw error": [
    /^SyntaxError: /,
    (bytes) => {
      JSON.parse(bytes.toString());
      return "taken";
    },
  ],
  "recursion without an end": [
    /^RangeError: Maximum call stack/,
    (bytes) => (depthOf(parsed(bytes)) > 3 ? "refused" : "taken"),
  ],
  "a field that is believed": [
    /^TypeError: /,
    (bytes) => ((parsed(bytes) as { id: string }).id.length > 0 ? "taken" : "refused"),
  ],
  "a code that the reader may not throw": [
    /^MILL_STATE_FORMAT: /,
    (bytes) => {
      if (bytes.includes("note")) throw new MillraceError("MILL_STATE_FORMAT", "");
      return "taken";
    },
  ],
  "an invariant": [
    /^MILL_ENGINE_INVARIANT: /,
    (bytes) => {
      if (!bytes.includes("lines")) throw new MillraceError("MILL_ENGINE_INVARIANT", "");
      return "taken";
    },
  ],
  "a prototype that is changed": [
    /^a prototype was changed$/,
    (bytes) => {
      const value = parsed(bytes);
      if (typeof value === "object" && value !== null) merged({}, value as Tree);
      return "taken";
    },
  ],
  "another value when it is written": [
    /^Broken: digits are lost/,
    (bytes) => {
      const text = JSON.stringify(parsed(bytes));
      return { look: () => must(!/e\+|null,/.test(text), "digits are lost") };
    },
  ],
  "a block of the loop": [
    /^it holds the loop for \d+ ms, and 200 are allowed$/,
    (bytes) => {
      if (bytes.includes("again") && blocks++ < 4) busy(210);
      return "taken";
    },
  ],
  "memory that is kept": [
    /^\d+ bytes are kept$/,
    () => {
      kept.push(Buffer.alloc(1_000_000));
      return "taken";
    },
  ],
};

for (const [name, [wanted, read]] of Object.entries(faults))
  test(`a planted fault is found: ${name}`, async () => {
    const all = await found(planted(read));
    kept.length = 0;
    assert.ok(
      all.some(({ wrong }) => wanted.test(wrong)),
      inspect(all),
    );
  });

test("a case that is slow once, and not when it is played again, is none", async () => {
  let plays = 0;
  const kind = planted(() => {
    if (plays++ === 3) busy(210);
    return "taken";
  });
  assert.deepEqual(await found(kind), []);
});

test("the command prints its seed and each finding with the case that shows it again, and ends with 1", async () => {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const kind = planted((bytes) => (JSON.parse(bytes.toString()) === null ? "refused" : "taken"));
  assert.equal(await fuzz(["--minutes", "0.005", "--seed", "9"], [kind], { print }), 1);
  assert.equal(lines[0], "seed 9");
  const again = /^wrong: (--seed 9 --kind planted --case \d+)\n {2}SyntaxError: /.exec(
    lines[1] ?? "",
  );
  assert.ok(again?.[1] !== undefined, lines[1]);
  assert.equal(await fuzz(again[1].split(" "), [kind], { print }), 1);
  assert.match(lines.at(-1) ?? "", /^SyntaxError: /);
  const good = planted(() => "taken");
  assert.equal(await fuzz(["--minutes", "0.001"], [good], { print }), 0);
  assert.match(
    lines.at(-1) ?? "",
    /^seed \d+: \d+ cases, 0 findings, [\d.]+ MB kept, \d+ MB at most$/,
  );
  assert.equal(await fuzz(["--kind", "nobody"], [good], { print }), 2);
  assert.equal(await fuzz(["--minutes", "x"], [good], { print }), 2);
});
