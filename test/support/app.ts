// The command line with the pipelines and tables of a test app instead of the repository's own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { witness } from "./evidence.ts";

const bin = fileURLToPath(new URL("../../bin/millrace.js", import.meta.url));
const loader = pathToFileURL(join(import.meta.dirname, "app-loader.ts")).href;

/** Arguments of node and settings that put the app into place. */
export interface App {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** An app by its name in test/support/apps; `settings` are for itself (names of its topics, say). */
export const appOf = (name: string, settings: Readonly<Record<string, string>> = {}): App => ({
  execArgv: ["--import", loader],
  env: { ...settings, MILLRACE_TEST_APP: join(import.meta.dirname, "apps", `${name}.ts`) },
});

export interface Ended {
  readonly code: number | string | null;
  readonly out: string;
}

/** Runs a command to its end; `program` is the command line of this checkout unless another is given. */
export function appCommand(
  app: App,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  program: string = bin,
): Promise<Ended> {
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
  const options = {
    cwd: tmpdir(),
    env: { PATH, HOME, NODE_COMPILE_CACHE, MILLRACE_HTTP_PORT: "0", ...env, ...app.env },
    maxBuffer: 50_000_000,
  };
  let said = "";
  let end: string | null = null;
  const lines = (): readonly string[] => [...said.split("\n"), end ?? ""];
  witness({ name: ["millrace", ...argv].join(" "), lines, isOver: () => end !== null });
  return new Promise((resolve) => {
    const args = [...app.execArgv, program, ...argv];
    const child = execFile(process.execPath, args, options, (error, out, err) => {
      const code = error === null ? 0 : (error.code ?? null);
      end = `ended with ${String(code)}`;
      resolve({ code, out: out + err });
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (data: string) => (said += data));
  });
}

/** Makes the topics, schemas and tables of the app. */
export async function applyApp(
  app: App,
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  for (const what of ["topics", "tables"]) {
    const { code, out } = await appCommand(app, [what, "apply"], env);
    assert.equal(code, 0, out);
  }
}
