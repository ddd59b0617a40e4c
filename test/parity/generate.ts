// So many cases of each operator: half of them without a late record, half with one at least.
import { type Case, caseOf, type Disorder, names } from "./cases.ts";
import { reference } from "./compare.ts";

export interface Made {
  readonly disorder: Disorder;
  readonly one: Case;
}

const NONE = new Set<never>();
/** A case with a late record is drawn again until it has one. */
const DRAWS_MAX = 1000;

export function casesOf(seed: number, each: number): readonly Made[] {
  return names.flatMap((name, place) =>
    Array.from({ length: each }, (_, i): Made => {
      const disorder = i % 2 === 0 ? "within-grace" : "late";
      const from = seed + (place * each + i) * DRAWS_MAX;
      for (let draw = 0; draw < DRAWS_MAX; draw++) {
        const one = caseOf(name, disorder, from + draw);
        if (disorder === "late" ? reference(one, NONE).late > 0 : true) return { disorder, one };
      }
      throw new Error(`no case of "${name}" with a late record from seed ${String(from)} on`);
    }),
  );
}
