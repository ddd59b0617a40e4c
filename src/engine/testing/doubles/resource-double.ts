// A double of a resource: what callbacks are given instead of a client of the real thing.
import { InvariantError } from "../../core/errors.ts";
import type { PlanResource } from "../../core/plan.ts";
import type { Clock } from "../../core/ports.ts";
import type { Resource } from "../../define/calls/resource.ts";
import type { OpenResource } from "../../runtime/context.ts";

export interface Double {
  readonly resource: PlanResource;
  readonly make: (at: { readonly clock: Clock }) => unknown;
}

/**
 * Hands in a client; `clock` is the simulation's, so an answer can take time.
 * @example
 * double(geocoder, ({ clock }) => ({ find: async () => (await clock.sleep(20), "here") }))
 */
export const double = <C>(
  resource: Resource<C>,
  make: (at: { readonly clock: Clock }) => C,
): Double => ({ resource, make });

export function openDouble(
  doubles: readonly Double[],
  { name, declaration }: PlanResource,
  clock: Clock,
): OpenResource {
  const own = doubles.find(({ resource }) => resource.declaration === declaration);
  if (own === undefined)
    throw new InvariantError("MILL_ENGINE_INVARIANT", `no double of the resource ${name}`);
  return { client: own.make({ clock }), close: () => Promise.resolve() };
}
