// Checks of stored JSON that anybody may have written who can write its topic or row: notes, states of letters, progress
// metadata. A check says by its path what is wrong with a value, and never quotes the value. Fields that nobody knows are
// left alone, since a later release may have written them.

/** Null when the value is what it should be; else what is wrong. */
export type Check = (value: unknown, path: string) => string | null;

export type ForeignResult<T> = { readonly value: T } | { readonly why: string };

/** More than a note ever has; Kafka takes a little more in one record. */
const TEXT_MAX = 1_000_000;
const DEPTH_MAX = 20;
const LIST_MAX = 100_000;
/** The last millisecond that a Date knows. */
const TIME_MAX = 8_640_000_000_000_000;

/** The value of a JSON text, or why it is not taken. */
export function parseForeign<T>(
  text: string,
  check: Check,
  charsMax: number = TEXT_MAX,
): ForeignResult<T> {
  if (text.length > charsMax) return { why: `it is longer than ${String(charsMax)} characters` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { why: "it is not JSON" };
  }
  return checkForeign<T>(value, check);
}

/** As `parseForeign`, of a value that a driver has parsed. */
export function checkForeign<T>(value: unknown, check: Check): ForeignResult<T> {
  const why = trickOf(value) ?? check(value, "it");
  return why === null ? { value: value as T } : { why };
}

/** For a text that was checked when it was read. Throws what is wrong with any other. */
export function parseKnown<T>(text: string, check: Check): T {
  const result = parseForeign<T>(text, check);
  if ("why" in result) throw new TypeError(result.why);
  return result.value;
}

/** A field that would replace a prototype wherever it is copied, or more depth than anything of ours has. */
function trickOf(root: unknown): string | null {
  const open: (readonly [unknown, number])[] = [[root, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [value, depth] = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth >= DEPTH_MAX) return `it is nested more than ${String(DEPTH_MAX)} deep`;
    if (Object.hasOwn(value, "__proto__")) return "it has a field __proto__";
    for (const one of Object.values(value)) open.push([one, depth + 1]);
  }
  return null;
}

export const anything: Check = () => null;

export const text =
  (charsMax: number, pattern: RegExp = /^/): Check =>
  (value, path) =>
    typeof value === "string" && value.length <= charsMax && pattern.test(value)
      ? null
      : `${path} is no text that can be there`;

export const flag: Check = (value, path) =>
  typeof value === "boolean" ? null : `${path} is not true or false`;

/** A whole number that a double has exactly. */
export const whole =
  (most: number = Number.MAX_SAFE_INTEGER): Check =>
  (value, path) =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most
      ? null
      : `${path} is no whole number from 0 to ${String(most)}`;

/** Milliseconds since the epoch. */
export const time: Check = whole(TIME_MAX);

/** An offset, or any other number of 64 bits, as text. */
export const offsetText: Check = (value, path) =>
  typeof value === "string" && /^\d{1,19}$/.test(value) && BigInt(value) < 2n ** 63n
    ? null
    : `${path} is no offset`;

export const oneOf =
  (words: readonly unknown[]): Check =>
  (value, path) =>
    words.includes(value) ? null : `${path} is none of ${words.map(String).join(", ")}`;

export const nullable =
  (check: Check): Check =>
  (value, path) =>
    value === null ? null : check(value, path);

/** A field that may be left out. */
export const optional =
  (check: Check): Check =>
  (value, path) =>
    value === undefined ? null : check(value, path);

export const listOf =
  (check: Check, most: number = LIST_MAX): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return `${path} is no list`;
    if (value.length > most) return `${path} has more than ${String(most)} elements`;
    return firstWrong(
      value.map((one, i) => [one, `${path}[${String(i)}]`] as const),
      check,
    );
  };

/** An object whose names are data. */
export const mapOf =
  (check: Check, most: number, nameCharsMax = 300): Check =>
  (value, path) => {
    if (!isObject(value)) return `${path} is no object`;
    const entries = Object.entries(value);
    if (entries.length > most) return `${path} has more than ${String(most)} fields`;
    if (entries.some(([name]) => name.length > nameCharsMax))
      return `a name in ${path} is too long`;
    return firstWrong(
      entries.map(([, one]) => [one, `a field of ${path}`] as const),
      check,
    );
  };

/** An object with these fields. */
export const fields = <T>(checks: { readonly [Name in keyof T]-?: Check }): Check => {
  const own = Object.entries(checks) as [string, Check][];
  return (value, path) => {
    if (!isObject(value)) return `${path} is no object`;
    for (const [name, check] of own) {
      const field = Object.hasOwn(value, name) ? value[name] : undefined;
      const why = check(field, path === "it" ? name : `${path}.${name}`);
      if (why !== null) return why;
    }
    return null;
  };
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function firstWrong(values: readonly (readonly [unknown, string])[], check: Check): string | null {
  for (const [value, path] of values) {
    const why = check(value, path);
    if (why !== null) return why;
  }
  return null;
}

const SHOWN_MAX = 120;

/** A key for a message: quoted, without what a terminal obeys, and not long. */
export function shownKey(key: string): string {
  const cut = key.length > SHOWN_MAX ? `${key.slice(0, SHOWN_MAX)}…` : key;
  const escape = (one: string): string =>
    `\\u${(one.codePointAt(0) as number).toString(16).padStart(4, "0")}`;
  return JSON.stringify(cut).replace(/[\p{C}\u2028\u2029]/gu, escape);
}
