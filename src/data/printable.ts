// Text that is safe to print. Keys, values, headers and messages may come from anybody who can write a topic: a terminal
// would obey the control sequences in them (OSC 52 writes the clipboard, CSI moves the cursor over other lines).

/**
 * Control characters (C0, DEL, C1), line and paragraph separators, and the marks that turn the direction of writing
 * (CVE-2021-42574), each of which shows something else than what is there.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text as one line, in which every unsafe character is its JSON escape. Text that is JSON stays the same JSON.
 *
 * @example printable("a\u001b[2J") // "a\\u001b[2J"
 */
export const printable = (text: string): string => text.replace(UNSAFE, escaped);

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escaped = (character: string): string =>
  SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
