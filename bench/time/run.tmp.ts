import { benchHopping } from "./hopping.ts";
console.table(await benchHopping(console.error));
