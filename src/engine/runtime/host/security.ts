// Settings that only together say how to connect: a login that the protocol would not use, half a pair of certificate and key,
// or a text that is no certificate, would end in a stack or in a connection without login. Checked before anything connects.
import { createSecureContext } from "node:tls";
import type { WorkerSettings } from "./settings.ts";

type Name = keyof WorkerSettings;

const LOGIN = ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] as const;
const PEMS = { KAFKA_SSL_CA: "ca", KAFKA_SSL_CERT: "cert", KAFKA_SSL_KEY: "key" } as const;
const pemNames = Object.keys(PEMS) as (keyof typeof PEMS)[];

/** One sentence for each problem. Names and protocols only: the values are secrets. */
export function securityProblems(settings: WorkerSettings): readonly string[] {
  const { KAFKA_SECURITY_PROTOCOL: protocol } = settings;
  return [
    ...unused(settings, { names: LOGIN, by: "SASL_", does: "log in" }),
    ...unused(settings, { names: pemNames, by: "SSL", does: "encrypt" }),
    ...(protocol.startsWith("SASL_") ? missing(settings, LOGIN, `${protocol} needs it`) : []),
    ...half(settings, ["KAFKA_SSL_CERT", "KAFKA_SSL_KEY"]),
    ...half(settings, ["SCHEMA_REGISTRY_USERNAME", "SCHEMA_REGISTRY_PASSWORD"]),
    ...unfitPems(settings),
  ];
}

const isSet = (settings: WorkerSettings, name: Name): boolean => settings[name] !== undefined;

interface Unused {
  readonly names: readonly Name[];
  /** The part of a protocol's name that uses them. */
  readonly by: "SASL_" | "SSL";
  readonly does: string;
}

function unused(settings: WorkerSettings, { names, by, does }: Unused): readonly string[] {
  const { KAFKA_SECURITY_PROTOCOL: protocol } = settings;
  const given = names.filter((name) => isSet(settings, name));
  if (given.length === 0 || protocol.includes(by)) return [];
  const fit = by === "SSL" ? "SSL or SASL_SSL" : "SASL_SSL or SASL_PLAINTEXT";
  return [
    `KAFKA_SECURITY_PROTOCOL: ${given.join(", ")} set, but ${protocol} does not ${does}. Set it to ${fit}, or remove the others`,
  ];
}

const missing = (
  settings: WorkerSettings,
  names: readonly Name[],
  why: string,
): readonly string[] =>
  names.filter((name) => !isSet(settings, name)).map((name) => `${name}: ${why}, received nothing`);

function half(settings: WorkerSettings, names: readonly [Name, Name]): readonly string[] {
  const given = names.filter((name) => isSet(settings, name));
  return given.length === 1 ? missing(settings, names, `${String(given[0])} needs it`) : [];
}

/** Node itself says whether the texts are certificates and a key, and belong together. */
function unfitPems(settings: WorkerSettings): readonly string[] {
  const given = pemNames.filter((name) => isSet(settings, name));
  const texts = Object.fromEntries(given.map((name) => [PEMS[name], settings[name]]));
  const isPem = (name: Name): boolean => /-----BEGIN /.test(String(settings[name]));
  const others = given.filter((name) => !isPem(name));
  if (others.length > 0)
    return others.map(
      (name) => `${name}: expected the text of a PEM file, not its path (that is ${name}_FILE)`,
    );
  try {
    createSecureContext(texts);
    return [];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return [`${given.join(", ")}: TLS cannot use them (${code ?? "no code"})`];
  }
}
