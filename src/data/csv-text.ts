// CSV (RFC 4180) from pieces of text to rows of cells. A row with a misplaced quotation mark costs the lines up to that mark and
// no other one. Rows without quotation marks, which most are, are split at once.
import { Mismatch } from "./mismatch.ts";
import { LINE_BYTES_MAX, badRow, type BadRow } from "./row.ts";

export interface Cells {
  /** The line on which the row ends. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** A row ends before `next`; without cells it is broken. Null: the text ends within the row. */
type Found = { readonly next: number } & ({ readonly cells: string[] } | { readonly why: string });

const NOT_CLOSED = "a closing quotation mark";
const AFTER_QUOTE = "a comma or the end of the line behind a closing quotation mark";
const IN_CELL = "a quotation mark only at the beginning of a cell";
const TOO_LONG = `a line of at most ${String(LINE_BYTES_MAX)} characters`;

export async function* csvRows(pieces: AsyncIterable<string>): AsyncGenerator<Cells | BadRow> {
  const text = new Rows();
  for await (const piece of pieces) {
    text.append(piece);
    yield* text.take(false);
    if (text.isOver) return;
  }
  yield* text.take(true);
}

/** The text that has come and was not given out yet. */
class Rows {
  isOver = false;
  #text = "";
  /** The lines that have ended. */
  #line = 0;

  append(piece: string): void {
    this.#text += piece;
  }

  /** Rows that are whole; all of the rest when nothing more comes. */
  *take(isEnd: boolean): Generator<Cells | BadRow> {
    let start = 0;
    while (start < this.#text.length) {
      const found = rowFrom(this.#text, start, isEnd);
      if (found === null) break;
      this.#line += linesIn(this.#text, start, found.next);
      if ("why" in found) yield this.#broken(found.why, start, found.next);
      // An empty line is no row.
      else if (found.cells.length > 1 || found.cells[0] !== "")
        yield { line: this.#line, cells: found.cells };
      start = found.next;
    }
    this.#text = this.#text.slice(start);
    const isTooLong = this.#text.length > LINE_BYTES_MAX;
    if (this.#text === "" || !(isEnd || isTooLong)) return;
    this.isOver = true;
    const end = this.#text.length;
    this.#line += linesIn(this.#text, 0, end);
    const row = this.#broken(isTooLong ? TOO_LONG : NOT_CLOSED, 0, end);
    yield { ...row, isLast: true };
  }

  #broken(why: string, start: number, next: number): BadRow {
    const first = this.#line - linesIn(this.#text, start, next) + 1;
    const last = String(this.#line);
    const span =
      this.#line > first ? `; lines ${String(first)} to ${last} were read as one row` : "";
    return badRow(first, new Mismatch(why + span));
  }
}

/** The line breaks of the row, and its end where the text ends without one. */
function linesIn(text: string, start: number, next: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", start); at >= 0 && at < next; at = text.indexOf("\n", at + 1))
    count++;
  return text[next - 1] === "\n" ? count : count + 1;
}

function rowFrom(text: string, start: number, isEnd: boolean): Found | null {
  const end = text.indexOf("\n", start);
  if (end < 0 && !isEnd) return null;
  const stop = end < 0 ? text.length : end;
  const line = text.slice(start, text[stop - 1] === "\r" ? stop - 1 : stop);
  if (!line.includes('"')) return { cells: line.split(","), next: end < 0 ? stop : end + 1 };
  return quotedRow(text, start, isEnd);
}

/** The same for a row in which a quotation mark occurs: its cells may have commas and line breaks. */
function quotedRow(text: string, start: number, isEnd: boolean): Found | null {
  const cells: string[] = [];
  for (let at = start; ; at++) {
    const cell = text[at] === '"' ? quotedCell(text, at) : plainCell(text, at);
    // Whether a quotation mark closes the cell is said by the character behind it.
    if (cell === null || (cell.end + 1 >= text.length && !isEnd)) return null;
    at = cell.end;
    if (cell.value === null) return { why: IN_CELL, next: lineEnd(text, at) };
    cells.push(cell.value);
    if (text[at] === ",") continue;
    return isRowEnd(text, at)
      ? { cells, next: lineEnd(text, at) }
      : { why: AFTER_QUOTE, next: lineEnd(text, at) };
  }
}

const isRowEnd = (text: string, at: number): boolean =>
  at >= text.length || text[at] === "\n" || text.startsWith("\r\n", at);

interface Cell {
  /** Null for one that has a quotation mark inside. */
  readonly value: string | null;
  /** The place behind the cell. */
  readonly end: number;
}

function quotedCell(text: string, start: number): Cell | null {
  let value = "";
  for (let from = start + 1; ;) {
    const mark = text.indexOf('"', from);
    if (mark < 0) return null;
    if (text[mark + 1] !== '"') return { value: value + text.slice(from, mark), end: mark + 1 };
    value += text.slice(from, mark + 1);
    from = mark + 2;
  }
}

function plainCell(text: string, start: number): Cell {
  const length = text.slice(start).search(/,|\r?\n|$/);
  const end = start + length;
  const value = text.slice(start, end);
  return { value: value.includes('"') ? null : value, end };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end + 1;
}
