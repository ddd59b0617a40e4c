// The example of docs/state.md, run as it stands against a copy that the engine has written.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { redisCopies } from "../../../src/engine/clients/redis/copies.ts";
import { partitionOf } from "../../../src/engine/core/record.ts";
import { systemRandom } from "../../../src/engine/runtime/host/system.ts";
import { at } from "../../contract/state-copy.ts";
import { sharedStack } from "../../support/stack.ts";

const root = join(import.meta.dirname, "../../..");
const text = readFileSync(join(root, "docs/state.md"), "utf8");
const example = /```js\n([\s\S]*?)```/.exec(text)?.[1] ?? "";

/** As a store writes it: version, event time, payload. */
function valueOf(timeMs: bigint, payload: unknown): Buffer {
  const head = Buffer.alloc(9);
  head[0] = 1;
  head.writeBigInt64BE(timeMs, 1);
  return Buffer.concat([head, Buffer.from(JSON.stringify(payload))]);
}

// From standard input, imports lead from the working directory.
const run = (env: Readonly<Record<string, string>>): string =>
  execFileSync(process.execPath, ["--input-type=module"], {
    cwd: root,
    input: example,
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: "pipe",
  });

test("the example for other readers finds a value, its time and the position; and tells a missing copy", async (t) => {
  const { REDIS_URL } = await sharedStack();
  const copies = redisCopies({ url: REDIS_URL, random: systemRandom });
  const key = Buffer.from("customer-42");
  const partition = partitionOf(key, 4, 0);
  const copy = copies.copy({ prefix: "shop-totals", store: "by-customer", partition });
  t.after(async () => {
    await copy.remove();
    await copies.close();
  });
  await copy.remove();
  assert.throws(() => run({ REDIS_URL }), /no copy at \{shop-totals:by-customer:\d\}/);
  const rebuild = await copy.rebuild();
  await rebuild.put([{ key, value: valueOf(1_753_900_000_000n, { orders: 3 }), dueMs: null }]);
  await rebuild.finish(at(77));
  assert.equal(run({ REDIS_URL }), "77 { at: 1753900000000n, total: { orders: 3 } }\n");
  const deleted = Buffer.from([2, ...valueOf(1_753_900_000_000n, 0).subarray(1, 9)]);
  const change = { expected: 77n, target: at(78), changes: [{ key, value: deleted, dueMs: null }] };
  assert.equal(await copy.apply(change), "applied");
  assert.equal(run({ REDIS_URL }), "78 null\n");
});

test("the example is as short as it says", () => {
  const lines = example.split("\n").filter((line) => line !== "" && !line.startsWith("import"));
  assert.ok(lines.length > 0 && lines.length <= 10);
});
