// expect: a rule of data quality.
import type { Operation, OperatorFacts } from "../../../core/plan.ts";
import { expecting, type Expect } from "../../../transform/stateless/expect.ts";
import { operator, type Method } from "../../nodes/stream-node.ts";
import type { Fn, Guard } from "../../stream.ts";

/** The treatment of a record that breaks the rule. `otherwise` has no default: it decides correctness. */
export interface ExpectOptions {
  readonly otherwise: Expect["otherwise"];
  /** Data-quality dimension, such as "completeness". */
  readonly dimension?: string;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** A rule of data quality. `expect("positive", (o) => o.amount.gte(0n), { otherwise: "dead-letter" })` */
    expect<S extends V>(name: string, test: Guard<K, V, S>, options: ExpectOptions): Stream<K, S>;
    expect(name: string, test: Fn<K, V, boolean>, options: ExpectOptions): Stream<K, V>;
  }
}

const facts: OperatorFacts = {
  work: expecting,
  insideSink: true,
  details(operation: Operation) {
    const { otherwise, dimension } = operation as Expect;
    return { otherwise, ...(dimension === null ? {} : { dimension }) };
  },
};

export const expect: Method = operator(
  facts,
  (_, test: Expect["test"], { otherwise, dimension }: ExpectOptions): Expect => {
    return { kind: "expect", test, otherwise, dimension: dimension ?? null };
  },
);
