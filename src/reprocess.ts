// A worker of a run of the reprocessor, as a program: `node src/reprocess.ts <pipeline> <run>`.
// `millrace reprocess run --workers n` starts such processes; each ends when the run is over.
import { checkTables } from "./engine/provision/tables/tables.ts";
import { runWorkerProcess } from "./engine/reprocess/run/work.ts";
import { pipelines } from "./pipelines/index.ts";
import { runProgram } from "./program.ts";

const [pipeline = "", run = ""] = process.argv.slice(2);

await runProgram(() =>
  runWorkerProcess({ pipelines, env: process.env, pipeline, run: Number(run), checkTables }),
);
