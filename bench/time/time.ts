// `bench -- time`: the parts of it, and their figures for people.
import { spanText } from "../../src/engine/core/event-time.ts";
import { benchEngine, type EngineOptions } from "../engine.ts";
import { aligned, counted, reportText } from "../report.ts";
import { benchHopping, type HoppingFigures } from "./hopping.ts";
import { benchMarkers } from "./markers.ts";
import { benchOpen, type OpenFigures } from "./open.ts";

export const timeParts = ["hopping", "open", "markers", "engine"] as const;
export type TimePart = (typeof timeParts)[number];

export interface TimeOptions {
  readonly parts: readonly TimePart[];
  /** Numbers of keys with open windows. */
  readonly keys: readonly number[];
  readonly engine: EngineOptions;
}

export async function timeFigures(
  { parts, keys, engine }: TimeOptions,
  say: (line: string) => void,
): Promise<{
  readonly figures: Readonly<Partial<Record<TimePart, unknown>>>;
  readonly text: string;
}> {
  const figures: Partial<Record<TimePart, unknown>> = {};
  const texts: string[] = [];
  const add = <T>(part: TimePart, found: T, text: (found: T) => string): void => {
    figures[part] = found;
    texts.push(text(found));
  };
  if (parts.includes("hopping")) add("hopping", await benchHopping(say), hoppingText);
  if (parts.includes("open")) add("open", await benchOpen(keys, say), openText);
  if (parts.includes("markers")) add("markers", await benchMarkers(say), markersText);
  if (parts.includes("engine")) add("engine", await benchEngine(engine, say), reportText);
  return { figures, text: texts.join("\n\n") };
}

const HOPPING_HEAD = [
  ...["records a key and advance", "windows a record"],
  ...["an entry for each: CPU µs", "changes", "panes: CPU µs", "changes", ""],
];

function hoppingText(all: readonly HoppingFigures[]): string {
  const rows = all
    .filter(({ way }) => way === "panes")
    .map((panes) => {
      const { perAdvance, windows } = panes;
      const other = all.find(
        (one) => one.way === "windows" && one.perAdvance === perAdvance && one.windows === windows,
      ) as HoppingFigures;
      const figures = [other, panes].flatMap(({ cpuMicrosPerRecord, changesPerRecord }) => [
        cpuMicrosPerRecord.toFixed(1),
        changesPerRecord.toFixed(2),
      ]);
      const ratio = other.cpuMicrosPerRecord / panes.cpuMicrosPerRecord;
      return [String(perAdvance), String(windows), ...figures, `${ratio.toFixed(1)}x`];
    });
  return [
    "hopping counts of 20 keys, emitted when they close; one task, copies in memory, checkpoints of 2,500 records. Figures are by record:",
    "changes are records of the changelog. A window closes for each key and advance.",
    "",
    ...aligned([HOPPING_HEAD, ...rows]),
  ].join("\n");
}

function openText(all: readonly OpenFigures[]): string {
  const head = [
    "copy",
    "keys",
    "open windows",
    "few closed",
    "ms",
    "CPU µs each",
    "then closed",
    "ms",
    "CPU µs each",
    "process",
    "Redis",
  ];
  const rows = all.map(({ copy, keys, windows, few, many, megabytes, redisMegabytes }) => [
    ...[copy, counted(keys), counted(windows)],
    ...[few, many].flatMap((of) => [
      counted(of.windows),
      counted(of.ms),
      of.cpuMicrosEach.toFixed(1),
    ]),
    `${counted(megabytes)} MB`,
    redisMegabytes === null ? "" : `${counted(redisMegabytes)} MB`,
  ]);
  return [
    "counts of tumbling hours with a grace of 24 hours, one task. Time moves past the end of few windows, then past that of one",
    "window of every key, while all the others stay open. process: the most memory of the one that closes them.",
    "",
    ...aligned([head, ...rows]),
  ].join("\n");
}

const BEHIND_TEXT = { minutes: "tumbling minutes", sessions: "sessions" } as const;

function markersText({ markers, ages }: Awaited<ReturnType<typeof benchMarkers>>): string {
  const head = ["behind the topic", "partitions", "workers", "markers/s", "bytes/s", "bytes each"];
  const rows = markers.map((one) => [
    ...[BEHIND_TEXT[one.behind], counted(one.partitions), counted(one.workers)],
    ...[one.markersPerSecond.toFixed(1), counted(one.bytesPerSecond), one.bytesEach.toFixed(0)],
  ]);
  const ageRows = ages.map(({ ageMs, bytes }) => [spanText(ageMs), counted(bytes)]);
  return [
    "markers of one worker in a topic between parts that has as many partitions as its source, while each source partition gets a record",
    "every 500 ms; records as they are sent, without the head of their batch.",
    "",
    ...aligned([head, ...rows]),
    "",
    "bytes that a record is longer between two parts, by its age.",
    "",
    ...aligned([["age", "bytes"], ...ageRows]),
  ].join("\n");
}
