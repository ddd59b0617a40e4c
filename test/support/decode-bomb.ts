// A process of its own that decompresses the bytes of a file, up to a bound: node decode-bomb.ts <codec number> <file> <bound>.
// Prints what came of it, and by how many bytes its memory has risen.
import { readFileSync } from "node:fs";
import { decoderOf } from "../../src/engine/clients/kafkajs/protocol/codecs/compression.ts";
import { peakOf } from "./peak.ts";

const [codec, file = "", bound] = process.argv.slice(2);
const body = readFileSync(file);
const before = peakOf(process.pid);
let end = "bytes";
try {
  decoderOf(Number(codec))?.(body, Number(bound));
} catch (error) {
  end = error instanceof Error ? error.name : String(error);
}
console.log(JSON.stringify({ end, risen: peakOf(process.pid) - before }));
