// `millrace down`: stops what `up` started, and nothing else.
import { join } from "node:path";
import { stopDocker } from "../stack/docker.ts";
import { readStackFile } from "../stack/stack-file.ts";
import { stopStack } from "../stack/stack.ts";
import { exitCodes, type Register } from "./io.ts";

export const down: Register = (program, run) => {
  program
    .command("down")
    .option("--purge", "also remove their data; downloads stay")
    .description("stop what `up` started; its data stays for the next `up`")
    .action((options: { purge?: boolean }) =>
      run(async (io) => {
        const dir = join(io.cwd, ".millrace");
        const purge = options.purge === true;
        if (readStackFile(dir).docker) await stopDocker(dir, io.env, purge);
        await stopStack(dir, (line) => io.err(line), { purge });
        io.err(purge ? "down, data removed" : "down");
        return exitCodes.ok;
      }),
    );
};
