// `millrace up`: the local servers, with or without Docker.
import { join } from "node:path";
import { startDocker } from "../stack/docker.ts";
import { shownAddress } from "../engine/core/shown-address.ts";
import { stackOf, startStack } from "../stack/stack.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";

interface UpOptions {
  readonly docker?: boolean;
  readonly json?: boolean;
}

export const up: Register = (program, run) => {
  program
    .command("up")
    .option("--docker", "use docker-compose.yml instead of processes")
    .option("--json", "print one JSON object")
    .description(
      "start Kafka, a schema registry, Redis and Postgres, where the environment names none",
    )
    .action((options: UpOptions) => run((io) => bringUp(io, options)));
};

async function bringUp(io: CliIo, options: UpOptions): Promise<number> {
  const dir = join(io.cwd, ".millrace");
  const say = (line: string): void => io.err(line);
  if (options.docker === true) await startDocker(dir, io.env, say);
  else await startStack({ dir, env: io.env, say });
  const { env, pids } = stackOf(dir, io.env);
  const addresses = Object.entries(env).map(
    ([name, address]) => [name, shownAddress(address)] as const,
  );
  if (options.json === true) io.out(JSON.stringify({ env: Object.fromEntries(addresses), pids }));
  else for (const [name, address] of addresses) io.out(`${name}=${address}`);
  return exitCodes.ok;
}
