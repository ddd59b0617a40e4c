// Every mistake of mutations.ts in a process of its own, until a seed catches it:
//   node test/simulation/mutations-run.ts [--seeds 2500] [--only "no epoch"] [--json]
// Exit code 1 when one is not caught.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { mutations, type Mutation } from "./mutations.ts";

export interface Caught {
  readonly name: string;
  /** The check that failed, or null when no seed caught it. */
  readonly by: string | null;
  readonly seed: number | null;
  readonly reason: string;
}

const simulation = join(import.meta.dirname, "run.ts");
const schedules = join(import.meta.dirname, "../schedules/run.ts");

/** Which seeds a mistake is tried with. */
type Seeds = (mutation: Mutation) => string;

/** A mistake is tried by the test that is to catch it. */
function triedBy({ name }: Mutation, test: string): Promise<Caught> {
  const file = pathToFileURL(join(import.meta.dirname, "..", test)).href;
  const hook = pathToFileURL(join(import.meta.dirname, "mutation-hook.ts")).href;
  const script = `(await import(${JSON.stringify(hook)})).mutate(${JSON.stringify(name)});
    await import(${JSON.stringify(file)});`;
  return new Promise((resolve, reject) => {
    // Below a test runner it would report to that one, and not in words.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const args = ["--input-type=module", "-e", script];
    const child = spawn(process.execPath, args, { stdio: "pipe", env });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => {
      // A process that ends for another reason than a failed test has caught nothing.
      const [failed] = /^\s*(not ok \d+ - .*|✖ .*)$/m.exec(out) ?? [];
      const isCaught = code === 1 && failed !== undefined;
      resolve({ name, by: isCaught ? test : null, seed: null, reason: failed?.trim() ?? "" });
    });
  });
}

/** Tries one mistake, until the first seed that fails. */
function tried(mutation: Mutation, seeds: Seeds): Promise<Caught> {
  const { name, test } = mutation;
  if (test !== undefined) return triedBy(mutation, test);
  const runner = mutation.schedules === true ? schedules : simulation;
  const args = [runner, "--mutation", name, "--seeds", seeds(mutation), "--first", "--json"];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let [out, errors] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (out += String(chunk)));
    child.stderr.on("data", (chunk: Buffer) => (errors += String(chunk)));
    child.on("error", reject);
    child.on("close", () => {
      if (!out.startsWith("{")) return reject(new Error(`${name}: ${errors.slice(0, 2_000)}`));
      const { failures } = JSON.parse(out) as {
        failures: { seed: number; check: string; reason: string }[];
      };
      const [first] = failures;
      resolve({
        name,
        by: first?.check ?? null,
        seed: first?.seed ?? null,
        reason: first?.reason ?? "",
      });
    });
  });
}

/** All of them, some at a time. */
export async function triedAll(
  which: readonly Mutation[],
  seeds: Seeds,
  atATime: number,
): Promise<Caught[]> {
  const left = [...which];
  const caught: Caught[] = [];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift())
      caught.push(await tried(next, seeds));
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return caught.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "2500" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const which = mutations.filter(({ name }) => values.only === undefined || values.only === name);
  const caught = await triedAll(which, () => `1..${values.seeds}`, 2);
  for (const one of caught) {
    const line = values.json
      ? JSON.stringify(one)
      : `${one.name.padEnd(30)} ${one.by ?? "NOT CAUGHT"} ${one.seed === null ? "" : `after ${String(one.seed)} seeds`}`;
    process.stdout.write(`${line}\n`);
  }
  process.exit(caught.some(({ by }) => by === null) ? 1 : 0);
}

if (import.meta.main) await main();
