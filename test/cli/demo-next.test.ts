// What the demo says to try next when it has stopped its servers: each line works without any.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NEXT } from "../../src/cli/demo.ts";
import { main } from "../../src/cli/main.ts";

test("commands that are said after the servers have stopped need none", async () => {
  const lines = NEXT.down.split("\n").filter((line) => line.startsWith("  "));
  const commands = lines.map((line) => line.trim().split(/ {2,}/)[0] ?? "");
  assert.equal(commands.at(-1), "npm run demo -- --keep");
  for (const command of commands.slice(0, -1)) {
    const said: string[] = [];
    const out = (line: string): void => void said.push(line);
    const io = { env: {}, cwd: "/nowhere", isTty: false, out, err: out };
    assert.match(command, /^npx millrace /);
    assert.equal(await main(command.split(" ").slice(2), io), 0, said.join("\n"));
    assert.ok(said.length > 0, command);
  }
});
