// Applies one mistake to the files of the engine while they are loaded. Call it before anything of the engine is
// imported.
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { engineSources, withMistake } from "./mutation-marks.ts";
import { mutations } from "./mutations.ts";

export function mutate(name: string): void {
  const mutation = mutations.find((one) => one.name === name);
  if (mutation === undefined) throw new TypeError(`there is no mutation "${name}"`);
  const changed = withMistake(engineSources(), mutation);
  registerHooks({
    load(url, context, next) {
      const source = url.startsWith("file:") ? changed.get(fileURLToPath(url)) : undefined;
      if (source === undefined) return next(url, context);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}
