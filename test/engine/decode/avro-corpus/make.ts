// Makes corpus.jsonl again: node test/engine/decode/avro-corpus/make.ts [seed]
import { writeFileSync } from "node:fs";
import { corpusFile } from "./corpus.ts";
import { pairsOf } from "./generate.ts";
import { handmade } from "./handmade.ts";
import { askJava, javaVersion } from "./java.ts";

const PAIRS = 500;
const seed = Number(process.argv[2] ?? 20_261_129);
const pairs = [...handmade, ...pairsOf(seed, PAIRS)];
const answers = await askJava(pairs);
const head = { seed, pairs: PAIRS, java: javaVersion() };
const lines = pairs.map((pair, i) => JSON.stringify({ ...pair, java: answers[i] }));
writeFileSync(corpusFile, `${[JSON.stringify(head), ...lines].join("\n")}\n`);
process.stdout.write(`${String(pairs.length)} pairs of seed ${String(seed)}, ${head.java}\n`);
