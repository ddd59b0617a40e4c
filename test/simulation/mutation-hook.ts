// Applies one mutation to the files of the engine while they are loaded. Call it before anything of the engine is
// imported.
import { registerHooks } from "node:module";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { mutations, type Patch } from "./mutations.ts";

export function mutate(name: string): void {
  const found = mutations.find((mutation) => mutation.name === name);
  if (found === undefined) throw new TypeError(`there is no mutation "${name}"`);
  registerHooks({
    load(url, context, next) {
      const patches = found.patches.filter(({ file }) => url.endsWith(`/src/engine/${file}`));
      if (patches.length === 0) return next(url, context);
      const text = readFileSync(fileURLToPath(url), "utf8");
      const source = patches.reduce(patched, text);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

/** The text with one patch applied; throws unless its place is there exactly once. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const count = text.split(find).length - 1;
  if (count !== 1)
    throw new TypeError(`a patch of ${file} fits ${String(count)} places instead of one: ${find}`);
  return text.replace(find, () => replace);
}
