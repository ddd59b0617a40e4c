// The access list of a user of copies in Redis: the commands that its scripts and calls make, and the keys of a pipeline.
import {
  applyScript,
  beginScript,
  dueScript,
  finishScript,
  positionScript,
  scanScript,
  type Script,
} from "./scripts.ts";

const READING: readonly Script[] = [positionScript, dueScript, scanScript];
const WRITING: readonly Script[] = [applyScript, beginScript, finishScript];

/** Commands of a connection that reads, outside of scripts. */
const CALLED = ["info", "select", "evalsha", "eval", "hmget"];

const commandsIn = ({ lua }: Script): readonly string[] =>
  Array.from(lua.matchAll(/redis\.p?call\('(\w+)'/g), ([, name = ""]) => name.toLowerCase());

export const readingCommands: readonly string[] = [
  ...new Set([...CALLED, ...READING.flatMap(commandsIn)]),
];

export const writingCommands: readonly string[] = [
  ...new Set([...readingCommands, ...WRITING.flatMap(commandsIn)]),
];

/** The keys of every store of a pipeline, and of the runs whose stores it may go on with; braces as in `copyKey`. */
export const keyPatterns = (prefix: string): readonly string[] => [
  `{${prefix}:*`,
  `{${prefix}-r[0-9]*:*`,
];
