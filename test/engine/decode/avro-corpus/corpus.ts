// The corpus as a file: its head, then a pair a line with Java's answers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pair } from "./generate.ts";
import type { Answer } from "./java.ts";

export interface Head {
  readonly seed: number;
  readonly pairs: number;
  readonly java: string;
}
export interface Case extends Pair {
  readonly java: readonly Answer[];
}

export const corpusFile: string = join(import.meta.dirname, "corpus.jsonl");

export function readCorpus(): { readonly head: Head; readonly cases: readonly Case[] } {
  const [head = "", ...lines] = readFileSync(corpusFile, "utf8").trim().split("\n");
  return { head: JSON.parse(head) as Head, cases: lines.map((line) => JSON.parse(line) as Case) };
}
