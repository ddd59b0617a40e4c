// Every verb of the command line, in the order that help lists them.
import { doctor } from "./doctor.ts";
import { down } from "./down.ts";
import { explain } from "./explain.ts";
import type { Register } from "./io.ts";
import { status } from "./status.ts";
import { up } from "./up.ts";

export const verbs: readonly Register[] = [up, down, status, doctor, explain];
