// Changes of a JSON value as a tree, and of its text: fields that are another kind, missing, repeated or named like a
// prototype, depth, length, numbers that no double has.
import type { Draw } from "../draw.ts";
import { mutated } from "./bytes.ts";
import { oddNumbers, oddNumberTexts, oddText } from "./words.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

function nested(draw: Draw): Json {
  const depth = draw.of([2, 19, 20, 21, 200, 300]);
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = draw.chance(0.5) ? [value] : { a: value };
  return value;
}

export function oddJson(draw: Draw): Json {
  switch (draw.below(10)) {
    case 0:
      return null;
    case 1:
      return draw.chance(0.5);
    case 2:
    case 3:
      return draw.of(oddNumbers);
    case 4:
    case 5:
      return oddText(draw);
    case 6:
      return draw.list(0, 3, () => oddText(draw));
    case 7:
      return Object.fromEntries(draw.list(0, 3, () => [oddText(draw), draw.of(oddNumbers)]));
    case 8:
      return nested(draw);
    default:
      return Array.from({ length: draw.chance(0.05) ? 20_000 : 30 }, () => draw.below(10));
  }
}

/** A copy of the tree, with something else at one of its places. */
function treeChanged(draw: Draw, value: Json): Json {
  const isInner = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  if (!isInner || draw.chance(0.15)) return oddJson(draw);
  if (Array.isArray(value)) return listChanged(draw, value);
  const entries = Object.entries(value);
  const place = draw.below(entries.length);
  const [name, inner] = entries[place] as [string, Json];
  const others = entries.filter((_, i) => i !== place);
  switch (draw.below(8)) {
    case 0:
      return Object.fromEntries(others);
    case 1:
      return Object.fromEntries([...others, [oddText(draw), inner]]);
    case 2:
      return Object.fromEntries([...entries, [oddText(draw), oddJson(draw)]]);
    default:
      return Object.fromEntries([...others, [name, treeChanged(draw, inner)]]);
  }
}

function listChanged(draw: Draw, value: readonly Json[]): Json {
  const place = draw.below(value.length);
  const [element] = value.slice(place) as [Json];
  if (draw.chance(0.2)) return Array.from({ length: draw.size(5_000) }, () => element);
  return value.map((one, i) => (i === place ? treeChanged(draw, one) : one));
}

/** As deep as one likes, and complete. */
function deepText(draw: Draw): string {
  const depth = draw.of([1, 20, 255, 256, 257, 3_000, 10_000, 100_000]);
  const [open, close] = draw.of([
    ["[", "]"],
    ['{"a":', "}"],
    ['[{"a":', "}]"],
  ] as const);
  return `${open.repeat(depth)}1${close.repeat(depth)}`;
}

const ODD_TEXTS = ['"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\x"', '"\\u12"'];

/** The text of a value that JSON.stringify never writes. */
function oddValueText(draw: Draw): string {
  const ways = [deepText, (): string => draw.of(oddNumberTexts), (): string => draw.of(ODD_TEXTS)];
  return draw.of(ways)(draw);
}

const PLACE = /[{[:]/g;

/** Puts in what begins a value, with what lets the rest stay as it was; or something in the way. */
function textChanged(draw: Draw, text: string): string {
  const places = [...text.slice(0, 20_000).matchAll(PLACE)].map(({ index }) => index + 1);
  const at = places.length === 0 ? 0 : draw.of(places);
  const before = text[at - 1];
  const put = (piece: string, over = 0): string =>
    text.slice(0, at) + piece + text.slice(at + over);
  const beside = (value: string): string => {
    if (before === ":") return put(`${value},"again":`);
    return put(before === "[" ? `${value},` : `"more":${value},`);
  };
  switch (draw.below(8)) {
    case 0:
      return put(`"__proto__":{"polluted":1},`);
    case 1:
      return put(`"constructor":{"prototype":{"polluted":1}},`);
    case 2:
    case 3:
    case 4:
      return before === undefined ? oddValueText(draw) : beside(oddValueText(draw));
    case 5:
      // The fields of the text once more.
      return put(text.replace(/^[{[]|[}\]]$/g, "") + ",");
    case 6:
      return put(
        draw.of([" ", "\t\n", "\ufeff", "/* */", "'", "[", '{"a":']).repeat(draw.below(300)),
      );
    default:
      return put(oddValueText(draw), draw.below(6));
  }
}

/** The bytes of a JSON text near to that of `value`. */
export function jsonBytes(draw: Draw, value: unknown): Buffer {
  const text = JSON.stringify(value);
  if (draw.chance(0.08)) return Buffer.from(text);
  if (draw.chance(0.55))
    return Buffer.from(JSON.stringify(treeChanged(draw, JSON.parse(text) as Json)));
  if (draw.chance(0.6)) return Buffer.from(textChanged(draw, text));
  return mutated(draw, Buffer.from(text));
}
