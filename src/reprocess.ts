// One worker of a run of the reprocessor as a program: `node src/reprocess.ts <pipeline> <run>`, the twin of src/main.ts.
// `millrace reprocess run --workers n` starts such processes; each ends when the run is over.
import { ConfigErrors, messageOf } from "./engine/core/errors.ts";
import { checkTables } from "./engine/provision/tables/tables.ts";
import { runWorkerProcess } from "./engine/reprocess/run/work.ts";
import { pipelines } from "./pipelines/index.ts";

const [pipeline = "", run = ""] = process.argv.slice(2);

try {
  process.exitCode = await runWorkerProcess({
    pipelines,
    env: process.env,
    pipeline,
    run: Number(run),
    checkTables,
  });
} catch (error) {
  const problems = error instanceof ConfigErrors ? error.problems : [];
  console.error([messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)].join("\n"));
  process.exitCode = error instanceof ConfigErrors ? 78 : 1;
}
