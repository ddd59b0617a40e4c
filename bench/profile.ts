// Where a worker's time goes: the samples of node's profiler by area of the engine and by function.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Share {
  readonly what: string;
  /** Of the time that the process was busy, 0 to 1. */
  readonly share: number;
}

export interface Profile {
  readonly areas: readonly Share[];
  readonly functions: readonly Share[];
  /** The profiler's own work is in it. */
  readonly busySeconds: number;
  readonly seconds: number;
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  /** From 0. */
  readonly lineNumber: number;
}
interface ProfileNode {
  readonly id: number;
  readonly callFrame: Frame;
  readonly children?: readonly number[];
}
interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** The first that fits the path (or the function, for what V8 names itself) is the area. */
const areas: readonly (readonly [area: string, pattern: RegExp])[] = [
  ["garbage collection", /\(garbage collector\)/],
  ["idle", /\(idle\)/],
  ["system calls and native code", /\(program\)/],
  ["fetch: read record batches", /records\/record-batch-decode|protocol\/fetch|group\/fetching/],
  ["crc of record batches", /codecs\/crc32c/],
  ["compression", /codecs\//],
  ["produce: write record batches", /records\/record-batch-encode|protocol\/produce|\/produce\//],
  ["protocol: reading and writing of fields", /protocol\/wire/],
  ["kafka: everything else", /clients\/kafkajs|node_modules\/kafkajs/],
  ["redis", /clients\/redis|node_modules\/(@?ioredis|redis-)/],
  ["decode and encode of values", /engine\/decode\//],
  ["transform: operators", /engine\/transform\/|bench\/pipelines\/|engine\/define\//],
  ["state", /engine\/state\/|runtime\/task\/stream\/(state|stores)/],
  ["source: inbox and takeover", /engine\/source\//],
  ["runtime: line, tasks, checkpoint", /engine\/(runtime|checkpoint|core|sinks)\//],
  ["metrics and log", /observe\/|prom|pino/],
  ["node: sockets, streams, timers", /^node:/],
];
const areaOf = (place: string): string =>
  areas.find(([, pattern]) => pattern.test(place))?.[0] ?? "other";

/** Reads the only profile in the folder, of which the span counts. */
export function profileOf(dir: string, [fromMs, toMs]: readonly [number, number]): Profile {
  const [file = ""] = readdirSync(dir);
  const profile = JSON.parse(readFileSync(join(dir, file), "utf8")) as CpuProfile;
  const owners = ownersOf(profile.nodes);
  const byArea = new Map<string, number>();
  const byFunction = new Map<string, number>();
  let busy = 0;
  let at = profile.startTime;
  profile.samples.forEach((id, index) => {
    const micros = profile.timeDeltas[index] ?? 0;
    at += micros;
    const owner = owners.get(id);
    const isInSpan = at >= fromMs * 1_000 && at <= toMs * 1_000;
    if (!isInSpan || owner === undefined || areaOf(owner.place) === "idle") return;
    busy += micros;
    add(byArea, areaOf(owner.place), micros);
    add(byFunction, owner.label, micros);
  });
  return {
    areas: sharesOf(byArea, busy),
    functions: sharesOf(byFunction, busy),
    busySeconds: busy / 1e6,
    seconds: (toMs - fromMs) / 1_000,
  };
}

const add = (to: Map<string, number>, key: string, value: number): void =>
  void to.set(key, (to.get(key) ?? 0) + value);

const sharesOf = (times: ReadonlyMap<string, number>, all: number): Share[] =>
  [...times].sort(([, a], [, b]) => b - a).map(([what, micros]) => ({ what, share: micros / all }));

interface Owner {
  /** A path, or V8's own name in parentheses. */
  readonly place: string;
  readonly label: string;
}

/** To whom each node's own time belongs: what Node and V8 bring along belongs to the caller in a file. */
function ownersOf(nodes: readonly ProfileNode[]): ReadonlyMap<number, Owner> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const owners = new Map<number, Owner>();
  const visit = (node: ProfileNode, caller: Owner | null): void => {
    const owner = ownerOf(node.callFrame, caller);
    owners.set(node.id, owner);
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) visit(child, owner);
    }
  };
  const [root] = nodes;
  if (root !== undefined) visit(root, null);
  return owners;
}

const root = fileURLToPath(new URL("../", import.meta.url));

function ownerOf({ functionName, url, lineNumber }: Frame, caller: Owner | null): Owner {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url.startsWith("file:")) {
    const place = fileURLToPath(url).replace(root, "");
    return { place, label: `${name} ${place}:${String(lineNumber + 1)}` };
  }
  if (/^\((garbage collector|idle|program)\)$/.test(name)) return { place: name, label: name };
  // JSON.parse and the like, and Node's own streams: told apart by name, counted where they were called.
  const isOurs = caller !== null && !caller.place.startsWith("node:");
  const place = isOurs ? caller.place : "node:";
  const from = isOurs ? ` in ${caller.label.split(" in ").at(-1) ?? ""}` : ` ${url}`;
  return { place, label: `${name}${from}` };
}
