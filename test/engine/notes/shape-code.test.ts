// The name of the code that makes values: what counts as a change of it, and what does not.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { json, pipeline, string, topic } from "#engine";
import type { Plan } from "../../../src/engine/core/plan.ts";
import { codesOf, plain } from "../../../src/engine/notes/shape-code.ts";

const changes: readonly (readonly [string, string, string])[] = [
  [
    "a field behind a regular expression that ends in slashes",
    String.raw`/^https?:\/\//, { a }`,
    String.raw`/^https?:\/\//, { b }`,
  ],
  ["the same with a bracket", "s.split(/[/]//* c */); ({ a })", "s.split(/[/]//* c */); ({ b })"],
  ["a text", 'x("a")', 'x("b")'],
  ["a text with slashes", 'x("https://a")', 'x("https://b")'],
];
for (const [what, one, other] of changes)
  test(`${what} is a change`, () => {
    assert.notEqual(plain(one), plain(other));
  });

test("numbers, comments and white space are none", () => {
  assert.equal(plain("a + 10 // ten\n /* more */"), plain("a+5"));
});

const things = topic("things", { key: string, value: json<number>(), partitions: 1, owner: "t" });
const out = topic("out", { key: string, value: json<number>(), partitions: 1, owner: "t" });
type Of<R> = (n: number) => R;
const planOf = (make: Of<number>, keyOf: Of<string>, rule: Of<boolean>, last: Of<number>): Plan =>
  pipeline("flow", ({ from }) => {
    from(things)
      .filter("some", rule)
      .map("made", make)
      .rekey("by", keyOf)
      .map("last", last)
      .to(out);
  }).plan();
const plan = planOf(
  (n) => n,
  () => "k",
  () => true,
  (n) => n,
);

/** As if the pipeline stood in that file. */
const codeIn = (file: string, own: Plan = plan): string | undefined => {
  const parts = own.parts.map((part) => ({
    ...part,
    nodes: part.nodes.map((node) => ({ ...node, site: `${file}:1` })),
  }));
  return codesOf({ ...own, parts } as Plan).get("flow-by-repartition");
};

test("files that are imported by path, or by a name of package.json, count; the engine does not", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-code-"));
  try {
    const put = (name: string, text: string): void => {
      writeFileSync(join(folder, name), text);
    };
    put("package.json", '{"type":"module","imports":{"#lib/*":"./*.ts"}}');
    put("flow.ts", 'import "#lib/named"; import "./near.ts"; import "#engine"; import "#none";');
    put("named.ts", "a");
    put("near.ts", "b");
    const codeNow = (): string | undefined => codeIn(join(folder, "flow.ts"));
    const before = codeNow();
    assert.equal(codeNow(), before);
    put("named.ts", "c");
    const named = codeNow();
    put("near.ts", "d");
    const near = codeNow();
    assert.equal(new Set([before, named, near]).size, 3);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a callback that makes none of the values between is no change, one that makes them is", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-code-"));
  try {
    const file = join(folder, "flow.ts");
    const codeNow = (...of: Parameters<typeof planOf>): string | undefined => {
      const [make, keyOf, rule, last] = of.map(String);
      const text = `from(things).filter("some", ${rule}).map("made", ${make}).rekey("by", ${keyOf}).map("last", ${last})`;
      writeFileSync(file, text);
      return codeIn(file, planOf(...of));
    };
    const make: Of<number> = (n) => n;
    const told: Of<string> = () => "k";
    const all: Of<boolean> = () => true;
    const before = codeNow(make, told, all, make);
    assert.equal(
      codeNow(make, (n) => String(n), all, make),
      before,
    );
    assert.equal(
      codeNow(make, told, (n) => n > 1, make),
      before,
    );
    assert.equal(
      codeNow(make, told, all, (n) => -n),
      before,
    );
    assert.notEqual(
      codeNow((n) => -n, told, all, make),
      before,
    );
    writeFileSync(file, "helper changed");
    assert.notEqual(codeIn(file, planOf(make, told, all, make)), before);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
