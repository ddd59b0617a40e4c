// `millrace demo`: the main job on the local stack, from nothing to a balanced ledger. `npm run demo` calls it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MillraceError } from "../engine/core/errors.ts";
import { runDemo } from "../demo/demo.ts";
import { customerOrders } from "../pipelines/customer-orders.ts";
import { onStopSignal } from "../engine/runtime/host/signals.ts";
import { readStackEnv, startStack, stopStack } from "../stack/stack.ts";
import { statusOf } from "../stack/status.ts";
import { connectFor } from "./connect.ts";
import { exitCodes, paragraph, type CliIo, type Register } from "./io.ts";

const bin = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));

/** Lines that work as they are printed: with the servers still up, or without them. */
export const NEXT: Readonly<Record<"up" | "down", string>> = {
  up: `
Next, try
  npx millrace describe customer-orders               parts, topics and tables
  npx millrace consume orders.clean --max 3           cleaned records
  npx millrace dlq list customer-orders               dead letters by what went wrong
  npx millrace lag customer-orders                    how far each task is
  npx millrace explain MILL_RULE_BROKEN               any error code
  npx millrace down                                   stop the servers`,
  down: `
Next, try
  npx millrace describe customer-orders               parts, topics and tables
  npx millrace explain MILL_RULE_BROKEN               any error code
  npm run demo -- --keep                              the same, and leave the servers running for more`,
};

export const demo: Register = (program, run) => {
  program
    .command("demo")
    .option("--keep", "leave the servers running; on servers that run already, add to their data")
    .description("run the main job, customer orders, on the local stack and show what came of it")
    .action((options: { keep?: boolean }) => run((io) => play(io, options.keep ?? false)));
};

async function play(io: CliIo, keep: boolean): Promise<number> {
  const dir = join(io.cwd, ".millrace");
  const say = (text: string): void => paragraph(io.out, text);
  const life = new AbortController();
  const ignore = onStopSignal((signal) => life.abort(new Error(signal)));
  const found = (await statusOf(dir, io.env)).every(({ state }) => state === "up");
  if (!found) {
    say("$ npx millrace up");
    await stopStack(dir, () => undefined, { purge: true });
    await startStack({ dir, env: io.env, say });
  }
  try {
    await job(io, readStackEnv(dir, io.env), life.signal);
    say(NEXT[found || keep ? "up" : "down"]);
    return exitCodes.ok;
  } catch (error) {
    if (!life.signal.aborted) throw error;
    return exitCodes.interrupted;
  } finally {
    if (!found && !keep) {
      say("\n$ npx millrace down");
      await stopStack(dir, say);
    }
    ignore();
  }
}

/** Rejects when it fails, or when the signal cuts it short: then nothing of it goes on. */
async function job(io: CliIo, env: CliIo["env"], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const clients = await connectFor(io);
  const type = async (command: string): Promise<void> => {
    paragraph(io.out, `\n$ npx millrace ${command}`);
    const child = spawn(process.execPath, [bin, ...command.split(" ")], { stdio: "inherit" });
    const end = (): void => void child.kill("SIGTERM");
    signal.addEventListener("abort", end);
    const [code] = (await once(child, "exit")) as [number | null];
    signal.removeEventListener("abort", end);
    signal.throwIfAborted();
    if (code !== 0)
      throw new MillraceError("MILL_DEMO_FAILED", `millrace ${command}: exit ${String(code)}`);
  };
  try {
    const plan = customerOrders.plan(clients.namespace, clients.topicPartitions);
    await runDemo({ plan, clients, env, type, signal, say: (text) => paragraph(io.out, text) });
  } finally {
    await clients.close();
  }
}
