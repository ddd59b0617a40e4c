// `millrace schemas generate [--check]`: types from schemas/*.avsc into schemas/types/, or whether they still agree.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, ConfigErrors, MillraceError } from "../engine/core/errors.ts";
import {
  generatedLine,
  schemaTypesOf,
  type SchemaTypes,
} from "../engine/provision/schema-types.ts";
import { exitCodes, type Register } from "./io.ts";

export const schemas: Register = (program, run) => {
  program
    .command("schemas")
    .description("work with the Avro files in schemas/")
    .command("generate")
    .option("--check", "write nothing: exit 78 when a generated file is not what would be written")
    .description("write the TypeScript types of every Avro file to schemas/types/")
    .action((options: { check?: boolean }) =>
      run((io) => {
        const folder = join(io.cwd, "schemas");
        if (options.check === true) checkTypes(folder);
        else for (const line of writeTypes(folder)) io.err(line);
        return Promise.resolve(exitCodes.ok);
      }),
    );
};

/** Throws ConfigErrors that name every file which is stale, missing, left over or broken. */
function checkTypes(folder: string): void {
  const { changed, left, problems } = generateAll(folder);
  const all = [...problems, ...[...changed.map(({ file }) => file), ...left].map(staleness)];
  if (all.length > 0) throw new ConfigErrors(all);
}

/** Writes what has changed and returns a line about each; with a broken Avro file nothing is written. */
function writeTypes(folder: string): readonly string[] {
  const { made, changed, left, problems } = generateAll(folder);
  if (problems.length > 0) throw new ConfigErrors(problems);
  mkdirSync(join(folder, "types"), { recursive: true });
  for (const { file, text } of changed) writeFileSync(join(folder, "types", file), text);
  for (const file of left) rmSync(join(folder, "types", file));
  return [
    ...changed.map(({ file }) => `wrote schemas/types/${file}`),
    ...left.map((file) => `removed schemas/types/${file}`),
    `${String(made.length)} schemas, ${String(changed.length + left.length)} changes`,
  ];
}

/** The types that there should be, those of them that are not there yet, and files that should not be there. */
function generateAll(folder: string) {
  if (!existsSync(folder)) throw new MillraceError("MILL_NOT_FOUND", "there is no folder schemas/");
  const made: SchemaTypes[] = [];
  const problems: MillraceError[] = [];
  for (const file of filesIn(folder, ".avsc")) {
    try {
      made.push(schemaTypesOf(readFileSync(join(folder, file), "utf8"), file, `schemas/${file}`));
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      problems.push(error);
    }
  }
  const changed = made.filter(({ file, text }) => textOf(folder, file) !== text);
  return { made, changed, left: leftOver(folder), problems };
}

const filesIn = (folder: string, ending: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .sort();

function textOf(folder: string, file: string): string | null {
  const path = join(folder, "types", file);
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}

/** Generated files whose Avro file is gone; a broken Avro file is not gone. */
function leftOver(folder: string): readonly string[] {
  if (!existsSync(join(folder, "types"))) return [];
  return filesIn(join(folder, "types"), ".ts").filter((file) => {
    const source = file.replace(/\.ts$/, ".avsc");
    const isOurs = textOf(folder, file)?.startsWith(generatedLine(source)) === true;
    return isOurs && !existsSync(join(folder, source));
  });
}

const staleness = (file: string): ConfigError =>
  new ConfigError(
    "MILL_SCHEMA_STALE",
    `schemas/types/${file} is not what schemas/${file.replace(/\.ts$/, ".avsc")} gives. Run: npx millrace schemas generate`,
  );
