// The figures of the due index, for people.
import { aligned, counted } from "../report.ts";
import type { DueFigures } from "./due.ts";

export function dueText(all: readonly DueFigures[]): string {
  const head = ["copy", "entries", "index", "bytes an entry", "changes/s", "due and deleted/s"];
  const rows = all.map(({ copy, entries, index, ...figures }) => [
    copy,
    counted(entries),
    index ? "every entry" : "none",
    counted(figures.bytesPerEntry),
    counted(figures.changesPerSecond),
    figures.firedPerSecond === null ? "" : counted(figures.firedPerSecond),
  ]);
  return [
    "keys of 20 bytes, values of 60. changes: pieces of 500, one after the other, of entries that are there. due and deleted: pages",
    "of 500 in the order of due and key, each read and then deleted in a piece, until none is left.",
    "",
    ...aligned([head, ...rows]),
  ].join("\n");
}
