// `millrace doctor`: what is missing, and the command that mends it. Exit 0 when fine, 78 when something is missing,
// 69 when an address does not answer. A warning changes no exit code.
import { join } from "node:path";
import { findings, type Finding } from "../stack/doctor.ts";
import { thisMachine } from "../stack/machine.ts";
import { readStackFile } from "../stack/stack-file.ts";
import { exitCodes, paragraph, type CliIo, type Register } from "./io.ts";

/** A further look, once the servers have been looked at. */
type LookFurther = (io: CliIo) => Promise<readonly Finding[]>;

export const doctor: Register = doctorVerb(() => Promise.resolve([]));

export function doctorVerb(lookFurther: LookFurther): Register {
  return (program, run) => {
    program
      .command("doctor")
      .option("--json", "print one JSON object a check")
      .description("check what the local stack needs, and print the command that mends it")
      .action((options: { json?: boolean }) =>
        run(async (io) => {
          const file = readStackFile(join(io.cwd, ".millrace"));
          const servers = await findings({ env: io.env, file, machine: thisMachine(io.env) });
          const isUp = servers.every(({ verdict }) => verdict !== "unreachable");
          const all = [...servers, ...(isUp ? await lookFurther(io) : [])];
          for (const one of all)
            paragraph(io.out, options.json === true ? JSON.stringify(one) : textOf(one));
          return exitCodeOf(all);
        }),
      );
  };
}

function textOf({ check, verdict, detail, fix }: Finding): string {
  const line = `${verdict.padEnd(11)} ${check}: ${detail}`;
  return fix === undefined ? line : `${line}\n            mend it: ${fix}`;
}

function exitCodeOf(all: readonly Finding[]): number {
  if (all.some(({ verdict }) => verdict === "missing")) return exitCodes.config;
  return all.some(({ verdict }) => verdict === "unreachable")
    ? exitCodes.unavailable
    : exitCodes.ok;
}
