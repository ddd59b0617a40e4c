// The live processor as a program: `node src/main.ts [pipeline …]` runs them until SIGTERM.
// `millrace run --workers n` starts one such process for each worker.
import { checkTables } from "./engine/provision/tables/tables.ts";
import { live } from "./engine/runtime/live.ts";
import { pipelines } from "./pipelines/index.ts";
import { runProgram } from "./program.ts";

const names = process.argv.slice(2);

await runProgram(() => live({ pipelines, env: process.env, names, checkTables }));
