// Texts and numbers that parsers have stumbled over: names of prototypes, half surrogate pairs, separators, what makes regular
// expressions backtrack, the edges of number types.
import type { Draw } from "../draw.ts";

const WORDS = [
  ...["", " ", "\0", "\n", "/", "//", "-", ".", "..", "*", "$", "{", "[", '"', "\\", "%00", "%"],
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then"],
  ...["null", "true", "NaN", "Infinity", "-0", "0x10", "1e999", "1_000", "٣", "１２", "+1", " 7 "],
  ...[
    "\ud800",
    "\udc00x",
    "a\ud83d",
    "\ufffd",
    "\ufeff",
    "\u2028",
    "\u202e",
    "\u001b[2J",
    "\u009b",
  ],
  ...["9223372036854775807", "9223372036854775808", "18446744073709551616", "-1", "00", "01"],
  ...["dlq.id", "dlq.", "letter/", "generation/1", "gate", "1970-01-01T00:00:00Z", "2026-02-30"],
] as const;

const PIECES = [
  "a",
  "0",
  " ",
  "/",
  ".",
  "-",
  "a/",
  "0.",
  "1e",
  "=",
  "é",
  "\u{1f600}",
  '\\"',
  "//",
  "%2",
];

/** One of the words, or a piece so many times, with an end that keeps a pattern from matching. */
export function oddText(draw: Draw): string {
  if (draw.chance(0.8)) return draw.of(WORDS);
  const times = draw.chance(0.05) ? draw.between(1, 60_000) : draw.between(1, 200);
  return draw.of(PIECES).repeat(times) + draw.of(["", "!", "\n", "/x", '"', "\0"]);
}

export const oddNumbers: readonly number[] = [
  ...[0, -0, -1, 1, 0.5, 1e21, 1e308, 5e-324, 255, 256, 65_535, 65_536],
  ...[
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    2 ** 63,
    2 ** 64,
  ],
  ...[8.64e15, 8.64e15 + 1, -8.64e15 - 1, 253_402_300_800_000],
];

/** As they stand in JSON, which has more of them than a double. */
export const oddNumberTexts: readonly string[] = [
  ...[
    "1e999",
    "-1e999",
    "1e-999",
    "-0",
    "0e0",
    "9007199254740993",
    "9007199254740993.0",
    "1E+400",
    "1e20",
    "1.5e300",
  ],
  ...["NaN", "Infinity", "01", "1.", ".5", "+1", "0x1", "1e", "--1", "1" + "0".repeat(400)],
  ...["0." + "0".repeat(400) + "1", "123456789012345678901234567890e-10", "1e1000000000"],
];
