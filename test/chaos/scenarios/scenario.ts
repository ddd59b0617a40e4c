// A scenario: something that must stop work with a reason and a command, its cure, and exact figures behind it. Each has
// a flow of its own, since a stop is no part of a long run.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { appCommand } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { commandIn } from "../../support/named-command.ts";
import type { Circumstances } from "../workload/oracle.ts";
import type { World } from "../world/world.ts";

/** What is asserted goes wrong by an exception; the rest is judged when it returns. */
export interface Outcome {
  readonly planned: number;
  readonly fired: number;
  readonly note: string;
  readonly circumstances?: () => Promise<Circumstances>;
}

export interface Scenario {
  readonly row: number;
  readonly name: string;
  readonly how: string;
  /** Whether the flow has refused orders. */
  readonly hasRefused?: boolean;
  run(world: World): Promise<Outcome>;
}

/** Until a task has stopped with this code; returns what it says. */
export async function stopsWith(world: World, code: string): Promise<string> {
  world.crew.expectStop(code);
  const found = await eventually(
    `a task stops with ${code}`,
    async () => (await world.crew.stops()).find((one) => one.code === code) ?? null,
    90_000,
  );
  return found.message;
}

/** Runs the command that a message names as it is printed; where that asks for --yes, as it says. */
export async function asPrinted(world: World, message: string): Promise<string> {
  const { app, env } = world.commands;
  const args = commandIn(message);
  const first = await appCommand(app, args, env);
  if (first.code === 0) return first.out;
  assert.match(first.out, /^Nothing was changed\. Add --yes to do it\.$/m, args.join(" "));
  return command(world, [...args, "--yes"]);
}

export async function command(
  world: World,
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { app, env } = world.commands;
  const { code, out } = await appCommand(app, args, { ...env, ...settings });
  assert.equal(code, 0, `${args.join(" ")}: ${out}`);
  return out;
}

/** Two workers, and orders that have come all the way. */
export async function begin(world: World): Promise<void> {
  for (let i = 0; i < 2; i++) await world.crew.start();
  await world.crew.whole();
  await delay(2_000);
  await world.recovery(performance.now());
}
