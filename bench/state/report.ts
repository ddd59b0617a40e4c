// The figures of state, for people.
import { aligned, counted } from "../report.ts";
import type { StateFigures } from "./state.ts";

const megabytes = (n: number): string => `${n.toFixed(0)} MB`;

export function stateText(all: readonly StateFigures[]): string {
  const head = [
    "keys",
    "worker",
    "Redis",
    "takeover",
    "changes read",
    "rebuild",
    "changes/s",
    "worker",
  ];
  const rows = all.map((figures) => [
    counted(figures.keys),
    megabytes(figures.peakMegabytes),
    megabytes(figures.redisMegabytes),
    `${counted(figures.takeoverMs)} ms`,
    counted(figures.takeoverChanges),
    `${counted(figures.rebuildMs)} ms`,
    counted((figures.rebuiltChanges / figures.rebuildMs) * 1_000),
    megabytes(figures.rebuildMegabytes),
  ]);
  return [
    "worker: the most memory of the one that read all keys for the first time. takeover: from the SIGKILL of one of two",
    `workers to commits on all its partitions, session ${counted(all[0]?.sessionMs ?? NaN)} ms. rebuild: from the start after FLUSHALL to whole copies, with the`,
    "most memory of the worker that made them.",
    "",
    ...aligned([head, ...rows]),
  ].join("\n");
}
