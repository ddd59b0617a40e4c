// The fuzzer by hand: npm run fuzz -- --minutes 5
import { fuzz } from "./command.ts";
import { kinds } from "./kinds/index.ts";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
process.exitCode = await fuzz(process.argv.slice(2), kinds, print);
