// The check of every meter: a metric or a label that the catalogue does not have shows in the first test, not as an
// empty panel.
import { assert } from "./errors.ts";
import type { Labels, MetricSpec } from "./ports.ts";

/** Throws InvariantError unless the metric exists and has just these labels, each with a value it may have. */
export function assertSeries(
  spec: MetricSpec | undefined,
  name: string,
  labels: Labels,
): asserts spec is MetricSpec {
  assert(spec !== undefined, `there is no metric ${name}`);
  const wanted = spec.labels;
  const fits = ([label, value]: [string, string]): boolean => {
    const allowed = wanted[label];
    return allowed === "open" || (allowed?.includes(value) ?? false);
  };
  const given = Object.entries(labels);
  assert(
    given.length === Object.keys(wanted).length && given.every(fits),
    `${name} has the labels ${Object.keys(wanted).join(", ")}, received ${given.map(([l]) => l).join(", ")}`,
  );
}
