// The secrets that the environment gives, itself or in the files that it names, so that nothing prints them. A file that
// cannot be read is left to those who need it: they report it.
import { readFileSync, statSync } from "node:fs";
import { hiding, mayBeSecret, type Hide } from "../core/secrets.ts";

const FILE_BYTES_MAX = 65_536;
const FILE = /_FILE$/;

export const hidingSecretsOf = (env: Readonly<Record<string, string | undefined>>): Hide =>
  hiding(Object.entries(env).flatMap(([name, value]) => valuesOf(name, value ?? "")));

function valuesOf(name: string, value: string): (readonly [string, string])[] {
  const own = name.replace(FILE, "");
  if (value === "" || !FILE.test(name) || !mayBeSecret(own)) return [[name, value]];
  const text = textOf(value);
  // A name that leads to no file may be the secret itself, given under the wrong setting.
  return [[own, text ?? value]];
}

function textOf(path: string): string | null {
  try {
    const found = statSync(path);
    // A pipe can be read only once, by the one who needs it.
    if (!found.isFile()) return found.isDirectory() ? null : "";
    return found.size > FILE_BYTES_MAX ? "" : readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}
