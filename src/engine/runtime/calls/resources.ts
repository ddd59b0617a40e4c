// Clients for callbacks: opened once a worker, however many steps and pipelines use them, before any group is joined.
import { assert, messageOf, MillraceError } from "../../core/errors.ts";
import type { Plan, PlanResource } from "../../core/plan.ts";
import type { Log } from "../../core/ports.ts";
import type { OpenResource, WorkerPorts } from "../context.ts";

/** Every resource of these plans, once. */
export function resourcesOf(plans: readonly Plan[]): PlanResource[] {
  const all = new Map<unknown, PlanResource>();
  for (const { operation } of plans.flatMap(({ parts }) => parts).flatMap(({ nodes }) => nodes))
    if (operation.resource) all.set(operation.resource.declaration, operation.resource);
  return [...all.values()];
}

export class Resources {
  readonly #open = new Map<unknown, OpenResource>();

  /** Throws MILL_RESOURCE_FAILED; what is open by then stays so until `close`. */
  async open(plans: readonly Plan[], openResource: WorkerPorts["openResource"]): Promise<void> {
    for (const resource of resourcesOf(plans)) {
      assert(openResource !== undefined, `nobody opens the resource ${resource.name}`);
      const opened = await openResource(resource).catch((error: unknown) => {
        if (error instanceof MillraceError) throw error;
        // Its text may quote a secret of its settings.
        const name = error instanceof Error ? error.name : typeof error;
        throw new MillraceError("MILL_RESOURCE_FAILED", `${resource.name}: ${name}`, {
          cause: error,
        });
      });
      this.#open.set(resource.declaration, opened);
    }
  }

  readonly clientOf = ({ name, declaration }: PlanResource): unknown => {
    const open = this.#open.get(declaration);
    assert(open !== undefined, `the resource ${name} is not open`);
    return open.client;
  };

  /** A resource that cannot be closed is logged, and keeps nobody from ending. */
  async close(log: Log): Promise<void> {
    for (const open of this.#open.values())
      await open
        .close()
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, "closing a resource"));
    this.#open.clear();
  }
}
