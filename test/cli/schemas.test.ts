import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { main } from "../../src/cli/main.ts";

const orderOf = (...fields: string[]): string =>
  JSON.stringify({
    type: "record",
    name: "Order",
    fields: fields.map((name) => ({ name, type: "int" })),
  });

/** A repository with these Avro files, and `schemas generate` in it. */
function repository(t: TestContext, files: Readonly<Record<string, string>>) {
  const cwd = mkdtempSync(join(tmpdir(), "millrace-schemas-"));
  t.after(() => rmSync(cwd, { recursive: true }));
  mkdirSync(join(cwd, "schemas"));
  const write = (file: string, text: string) => writeFileSync(join(cwd, "schemas", file), text);
  for (const [file, text] of Object.entries(files)) write(file, text);
  return {
    write,
    remove: (file: string) => rmSync(join(cwd, "schemas", file)),
    read: (file: string) => readFileSync(join(cwd, "schemas", file), "utf8"),
    has: (file: string) => existsSync(join(cwd, "schemas", file)),
    async generate(...options: string[]) {
      const lines: string[] = [];
      const say = (line: string) => void lines.push(line);
      const io = { env: {}, cwd, isTty: false, out: say, err: say };
      return { code: await main(["schemas", "generate", ...options], io), lines };
    },
  };
}

test("types are written once, and the check then passes", async (t) => {
  const { generate, read } = repository(t, { "order.v1.avsc": orderOf("a") });
  assert.deepEqual((await generate()).lines, [
    "wrote schemas/types/order.v1.ts",
    "1 schemas, 1 changes",
  ]);
  assert.match(read("types/order.v1.ts"), /export const order: Schema<Order> = avro\(/);
  assert.deepEqual((await generate()).lines, ["1 schemas, 0 changes"]);
  assert.deepEqual(await generate("--check"), { code: 0, lines: [] });
});

test("the check names every file that is stale, missing or left over, and writes nothing", async (t) => {
  const { generate, write, remove, has } = repository(t, {
    "order.v1.avsc": orderOf("a"),
    "gone.v1.avsc": orderOf("a"),
  });
  await generate();
  write("order.v1.avsc", orderOf("a", "b"));
  write("new.v1.avsc", orderOf("a"));
  remove("gone.v1.avsc");
  const { code, lines } = await generate("--check");
  assert.equal(code, 78);
  const named = lines.flatMap(
    (line) => /^MILL_SCHEMA_STALE {2}.*types\/(\S+) is/.exec(line)?.[1] ?? [],
  );
  assert.deepEqual(named.sort(), ["gone.v1.ts", "new.v1.ts", "order.v1.ts"]);
  assert.ok(!has("types/new.v1.ts") && has("types/gone.v1.ts"));
  await generate();
  assert.ok(has("types/new.v1.ts") && !has("types/gone.v1.ts"));
  assert.equal((await generate("--check")).code, 0);
});

test("one changed byte is found", async (t) => {
  const { generate, read, write } = repository(t, { "order.v1.avsc": orderOf("a") });
  await generate();
  write(
    "types/order.v1.ts",
    read("types/order.v1.ts").replace("readonly a: number", "readonly a: string"),
  );
  assert.equal((await generate("--check")).code, 78);
});

test("all broken files are named at once, and nothing is written", async (t) => {
  const { generate, has } = repository(t, {
    "a.v1.avsc": "{",
    "b.v1.avsc": '"string"',
    "order.v1.avsc": orderOf("a"),
  });
  const { code, lines } = await generate();
  assert.equal(code, 78);
  assert.equal(
    lines.filter((line) => /^MILL_SCHEMA_INVALID .*schemas\/[ab]\.v1\.avsc/.test(line)).length,
    2,
  );
  assert.ok(!has("types"));
});

test("a file in the folder that was not generated is left alone", async (t) => {
  const { generate, write, has } = repository(t, { "order.v1.avsc": orderOf("a") });
  await generate();
  write("types/own.ts", "export const own = 1;\n");
  await generate();
  assert.ok(has("types/own.ts"));
  assert.equal((await generate("--check")).code, 0);
});
