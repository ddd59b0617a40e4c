// Every verb of the command line, in the order that help lists them.
import { explain } from "./explain.ts";
import type { Register } from "./io.ts";

export const verbs: readonly Register[] = [explain];
