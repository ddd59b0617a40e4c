// The fuzzer by hand: npm run fuzz -- --minutes 5
import { watched } from "./watched.ts";

/** A busy machine may well keep a thread from running for some seconds. */
const STUCK_MS = 60_000;

process.exitCode = await watched({
  argv: process.argv.slice(2),
  kinds: new URL("./kinds/index.ts", import.meta.url).href,
  print: (line) => void process.stdout.write(`${line}\n`),
  stuckMs: STUCK_MS,
});
