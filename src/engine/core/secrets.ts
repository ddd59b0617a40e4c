// The last guard of everything that is printed or logged: the secret values of the settings, in each form in which they
// may appear, are replaced. Messages are made without secrets; this is for the one that was not. Pure.
import { Buffer } from "node:buffer";
import { HIDDEN, partsOf } from "./shown-address.ts";
import { withoutTrailing } from "./trailing.ts";

/** The name of a setting or a fact whose value is a secret. */
export const SECRET_NAME: RegExp =
  /pass(word|wd|phrase|code)?$|_pwd$|secret|token|credential|authorization|api-?_?key|private-?_?key|(access|ssl|signing)-?_?key/i;

const ADDRESS_NAME = /^(KAFKA_BROKERS|SCHEMA_REGISTRY_URL|REDIS_URL|DATABASE_URL)$/;
/** The settings of resources. */
const OTHER_ADDRESS_NAME = /_(URL|URI|DSN)$/;

export const mayBeSecret = (name: string): boolean =>
  SECRET_NAME.test(name) || ADDRESS_NAME.test(name) || OTHER_ADDRESS_NAME.test(name);

const isAddress = (name: string, value: string): boolean =>
  ADDRESS_NAME.test(name) ||
  value.includes("://") ||
  (OTHER_ADDRESS_NAME.test(name) && value.includes("@"));

/** Returns the text with every secret replaced. */
export type Hide = (text: string) => string;

/** Words that a password may be, and that no text can do without. */
const COMMON = [
  ...["millrace", "true", "false", "null", "none"],
  ...["postgres", "redis", "kafka", "localhost"],
];
/** A shorter one, or a short number, is in too many texts; addresses are shown without it all the same. */
const WEAK = /^(.{0,3}|\d{0,7})$/s;
/** A shorter one is replaced only where no letter or digit touches it. */
const LENGTH_SURE = 8;
const LINE_MIN = 16;

/** `settings` are values by name, of which some are secrets and others are addresses with secrets. */
export function hiding(settings: Iterable<readonly [name: string, value: string]>): Hide {
  const given = new Map(settings);
  const open = new Set(COMMON);
  const secret = new Set<string>();
  for (const [name, value] of given) {
    if (SECRET_NAME.test(name)) for (const text of withLines(value)) secret.add(text);
    else if (isAddress(name, value)) addAddress(value, open, secret);
    else if (/USER(NAME)?$/.test(name)) open.add(value);
  }
  for (const pair of pairsOf(given)) secret.add(pair);
  return hidingTexts([...secret].filter((text) => !open.has(text)));
}

function addAddress(value: string, open: Set<string>, secret: Set<string>): void {
  const parts = partsOf(value);
  for (const text of parts.open) open.add(text);
  for (const text of parts.secret) secret.add(text);
  for (const login of parts.logins) secret.add(base64(decoded(login)));
}

/** A key in PEM has many lines, which may be printed one by one. */
const withLines = (value: string): readonly string[] => [
  value,
  ...value.split("\n").filter((line) => line.length >= LINE_MIN && !line.startsWith("-----")),
];

/** Logins as they are sent: Basic of HTTP, and PLAIN of SASL. */
function pairsOf(given: ReadonlyMap<string, string>): readonly string[] {
  return [...given].flatMap(([name, password]) => {
    const user = given.get(name.replace(/PASSWORD$/, "USERNAME"));
    if (!name.endsWith("PASSWORD") || user === undefined) return [];
    return [base64(`${user}:${password}`), base64(`\0${user}\0${password}`)];
  });
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

function hidingTexts(texts: readonly string[]): Hide {
  const forms = [...new Set(texts.flatMap(formsOf))].filter((text) => !WEAK.test(text));
  if (forms.length === 0) return (text) => text;
  // The longest first, so that nothing remains of one that contains another.
  const all = forms.sort((a, b) => b.length - a.length).map(patternOf);
  const pattern = new RegExp(all.join("|"), "g");
  return (text) => {
    const hidden = text.replace(pattern, HIDDEN);
    return hidden === text || isJson(hidden) || !isJson(text) ? hidden : hiddenJson(text, pattern);
  };
}

const patternOf = (text: string): string => {
  const literal = text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return text.length >= LENGTH_SURE ? literal : `(?<![0-9A-Za-z])${literal}(?![0-9A-Za-z])`;
};

/** The value as it is, as an address has it, inside JSON, and in Base64. */
function formsOf(value: string): readonly string[] {
  const plain = new Set([value, value.trim(), decoded(value)]);
  return [...plain].flatMap((text) => {
    const encoded = text.isWellFormed() ? encodeURIComponent(text) : text;
    return [
      ...[text, encoded, encoded.replaceAll(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase())],
      ...[encoded.replaceAll("%20", "+"), encodeURI(text.toWellFormed()), inUrl(text)],
      ...[JSON.stringify(text).slice(1, -1), JSON.stringify(encoded).slice(1, -1)],
      ...[withoutTrailing(base64(text), "="), Buffer.from(text).toString("base64url")],
    ];
  });
}

/** As the class URL writes a password. */
function inUrl(text: string): string {
  const url = new URL("http://host");
  url.password = text;
  return url.password;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A percent sign that stands for itself.
  }
}

function isJson(text: string): boolean {
  if (!/^[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A secret of digits alone may be a number in JSON, which a plain replacement would break. */
const hiddenJson = (text: string, pattern: RegExp): string =>
  JSON.stringify(hiddenIn(JSON.parse(text), pattern));

function hiddenIn(value: unknown, pattern: RegExp): unknown {
  if (Array.isArray(value)) return value.map((item) => hiddenIn(item, pattern));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, of]) => [
        name.replace(pattern, HIDDEN),
        hiddenIn(of, pattern),
      ]),
    );
  const shown = String(value).replace(pattern, HIDDEN);
  return shown === String(value) ? value : shown;
}
