// Format, imports between rooms, dead code, generated files.
import { passes } from "./passes.ts";

passes("check:format", "check:imports", "check:unused", "check:generated");
