// Rules of eslint, most of which read types.
import { passes } from "./passes.ts";

passes("check:lint");
