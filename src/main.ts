// The live processor as a program: `node src/main.ts [pipeline …]` runs them until SIGTERM.
// `millrace run --workers n` starts one such process for each worker.
import { ConfigErrors, messageOf } from "./engine/core/errors.ts";
import { checkTables } from "./engine/provision/tables/tables.ts";
import { live } from "./engine/runtime/live.ts";
import { pipelines } from "./pipelines/index.ts";

try {
  process.exitCode = await live({
    pipelines,
    env: process.env,
    names: process.argv.slice(2),
    checkTables,
  });
} catch (error) {
  const problems = error instanceof ConfigErrors ? error.problems : [];
  console.error([messageOf(error), ...problems.map((p) => `${p.code}  ${p.message}`)].join("\n"));
  process.exitCode = error instanceof ConfigErrors ? 78 : 1;
}
