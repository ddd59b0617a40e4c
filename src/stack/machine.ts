// The machine that `doctor` looks at: this one.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Machine } from "./doctor.ts";
import { cacheOf, isFetched } from "./download.ts";
import { onPath } from "./executable.ts";
import { javaCommand, javaMajor } from "./java.ts";
import { choosePorts } from "./port.ts";
import { postgresBinaries } from "./postgres-binaries.ts";
import { isRunning, succeeds } from "./process.ts";
import type { Env } from "./service-names.ts";
import { services } from "./server.ts";

const run = promisify(execFile);

export const thisMachine = (env: Env): Machine => ({
  nodeVersion: process.version,
  javaMajor: () =>
    run(javaCommand(env), ["-version"], { env: { ...env } }).then(
      ({ stdout, stderr }) => javaMajor(stderr + stdout),
      () => null,
    ),
  hasProgram: (name) => onPath(name, env) !== undefined,
  isFetched: (what) => isFetched(cacheOf(env), what, env),
  postgresFolder: async () => (await postgresBinaries(env))?.folder ?? null,
  canListen: () => succeeds(choosePorts(1)),
  isRunning,
  answers: (service, address, given) => succeeds(services[service].probe(address, given)),
});
