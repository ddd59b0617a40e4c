// The live processor as a program: `node src/main.ts [--until-end] [pipeline …]` runs them until SIGTERM, or to the end.
// `millrace run --workers n` starts one such process for each worker.
import { checkTables } from "./engine/provision/tables/tables.ts";
import { live, UNTIL_END } from "./engine/runtime/live.ts";
import { pipelines } from "./pipelines/index.ts";
import { runProgram } from "./program.ts";

const given = process.argv.slice(2);
const names = given.filter((name) => name !== UNTIL_END);
const untilEnd = names.length < given.length;

await runProgram(() => live({ pipelines, env: process.env, names, checkTables, untilEnd }));
