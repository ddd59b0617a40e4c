// `millrace status`: each server's address, and whether it answers. Exit 69 unless all do.
import { join } from "node:path";
import { statusOf, type ServiceStatus } from "../stack/status.ts";
import { exitCodes, type Register } from "./io.ts";

export const status: Register = (program, run) => {
  program
    .command("status")
    .option("--json", "print one JSON object a service")
    .description("show each server's address and whether it answers")
    .action((options: { json?: boolean }) =>
      run(async (io) => {
        const all = await statusOf(join(io.cwd, ".millrace"), io.env);
        for (const one of all) io.out(options.json === true ? JSON.stringify(one) : lineOf(one));
        const isUp = all.every(({ state }) => state === "up");
        if (!isUp)
          io.err("Not everything is up. Run: npx millrace up, or see: npx millrace doctor");
        return isUp ? exitCodes.ok : exitCodes.unavailable;
      }),
    );
};

function lineOf({ service, state, address, from, pid, version }: ServiceStatus): string {
  const facts = [
    address ?? "no address",
    address === null ? "" : `from ${from}`,
    pid === null ? "" : `pid ${String(pid)}`,
    version === null ? "" : `version ${version}`,
  ];
  const text = facts.filter((fact) => fact !== "").join(", ");
  return `${service.padEnd(9)} ${state.padEnd(5)} ${text}`;
}
