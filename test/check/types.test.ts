// Types, of everything and of the engine alone.
import { passes } from "./passes.ts";

passes("check:types");
