// mapAsync: one value from one value by a call to the outside. Its policy is its own, else the pipeline's; where failing
// keys are queued, they have a store.
import type { MillraceError } from "../../../core/errors.ts";
import type { OperatorFacts, PlanNode, RetryPolicy } from "../../../core/plan.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Duration } from "../../../core/span.ts";
import type { CallContext, CallOperation } from "../../../transform/calls/call.ts";
import { dueOfQueue } from "../../../transform/calls/key-queue.ts";
import { wrongQueued } from "../../../transform/calls/queue-check.ts";
import { calling } from "../../../transform/calls/map-async.ts";
import type { Resource } from "../../calls/resource.ts";
import { policyOf, type RetryOptions } from "../../calls/retry.ts";
import { isDeclared } from "../../nodes/graph.ts";
import { problem } from "../../nodes/problem.ts";
import type { StreamNode } from "../../nodes/stream-node.ts";
import { storeOf } from "../../store.ts";

/** The context of a call, beside the value. */
export interface Call<K, C> extends CallContext {
  readonly client: C;
  readonly record: RecordContext<K>;
}

export interface CallOptions<C> {
  readonly client?: Resource<C>;
  /** Calls at a time, of one task (a part on one partition). */
  readonly concurrency: number;
  /** A call that has not answered by then has failed. */
  readonly timeout: Duration;
  /** Default: the pipeline's, else a dead letter at the first failure. */
  readonly retry?: RetryOptions;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /**
     * Makes one value from one value by a call to the outside; no other callback may wait. Order is kept per key: one
     * call of a key at a time. Calls are at least once (repeated after a fault), so they should be idempotent.
     * `mapAsync("place", (o, { client, signal }) => client.find(o.address, signal), { client: geocoder, concurrency: 8, timeout: seconds(2) })`
     */
    mapAsync<R, C = undefined>(
      name: string,
      fn: (value: V, call: Call<K, C>) => Promise<R>,
      options: CallOptions<C>,
    ): Stream<K, R>;
  }
}

type Caller = PlanNode & { readonly operation: CallOperation };

const facts: OperatorFacts = {
  work: calling,
  changes: true,
  keepsAll: true,
  calls: true,
  settle({ name, operation }: PlanNode, ofPipeline: RetryPolicy | undefined) {
    const retry = (operation as CallOperation).retry ?? ofPipeline ?? null;
    if (retry?.mode !== "park-key") return { ...operation, retry } as CallOperation;
    const rules = { dueOfUndated: dueOfQueue, wrongValue: wrongQueued };
    const store = storeOf(queueName(name), { kind: "tagged-json" }, rules);
    return { ...operation, retry, store } as CallOperation;
  },
  problems(node: PlanNode, nodes: readonly PlanNode[]) {
    const caller = node as Caller;
    return [...numbers(caller), ...otherResource(caller, nodes), ...storeName(caller, nodes)];
  },
  details(operation) {
    const { resource, retry } = operation as CallOperation;
    return {
      ...(resource === null ? {} : { resource: resource.name }),
      ...(retry === null ? {} : { retry: retry.mode }),
    };
  },
};

export function mapAsync(
  this: StreamNode<unknown, unknown>,
  name: string,
  fn: CallOperation["fn"],
  { client, concurrency, timeout, retry }: CallOptions<unknown>,
): StreamNode<unknown, unknown> {
  if (client !== undefined && !isDeclared(client, "resource"))
    this.graph.refuse("mapAsync", "a resource(…)", client);
  const operation: CallOperation = {
    kind: "map-async",
    fn,
    resource: client ?? null,
    concurrency,
    timeoutMs: timeout.ms,
    retry: retry === undefined ? null : policyOf(retry),
  };
  return this.next(name, operation, facts);
}

const queueName = (step: string): string => `${step}-parked`;

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 1;

function numbers(node: Caller): MillraceError[] {
  const { concurrency, timeoutMs, retry } = node.operation;
  const checks: [boolean, string][] = [
    [isCount(concurrency), `concurrency of 1 or more, received ${String(concurrency)}`],
    [timeoutMs > 0, `a timeout above 0, received ${String(timeoutMs)} ms`],
  ];
  if (retry !== null) {
    const { attempts, firstMs, maxMs, runMax } = retry;
    checks.push(
      [isCount(attempts), `attempts of 1 or more, received ${String(attempts)}`],
      [firstMs > 0 && firstMs <= maxMs, "a first backoff above 0 and not above the longest"],
      [isCount(runMax.records) && isCount(runMax.bytes), "runMax of 1 or more"],
    );
  }
  return checks
    .filter(([isMet]) => !isMet)
    .map(([, expected]) => problem("MILL_BUILD_OPTION", node, `expected ${expected}`));
}

/** A test hands in a double by name. */
function otherResource(node: Caller, nodes: readonly PlanNode[]): MillraceError[] {
  const { resource } = node.operation;
  const first = nodes.find(({ operation }) => operation.resource?.name === resource?.name);
  if (resource === null || first?.operation.resource?.declaration === resource.declaration)
    return [];
  const detail = `another resource is called "${resource.name}" too`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}

function storeName(node: Caller, nodes: readonly PlanNode[]): MillraceError[] {
  const other = nodes.find(({ name }) => name === node.operation.store?.name);
  if (other === undefined) return [];
  const detail = `its store would be called as the operator at ${other.site}`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}
