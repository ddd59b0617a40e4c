// branch: splits a stream by the first test that is true.
import type { OperatorFacts } from "../../../core/plan.ts";
import { branching, type Branch } from "../../../transform/stateless/branch.ts";
import { passing } from "../../../transform/operator.ts";
import type { StreamNode } from "../../nodes/stream-node.ts";
import type { Fn } from "../../stream.ts";

type Tests<K, V> = Readonly<Record<string, Fn<K, V, boolean>>>;
/** The type that a branch's test narrows to. */
type ArmOf<V, T> = T extends ((value: V, record: never) => value is infer S extends V) ? S : V;

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** Splits by the first test that is true; `rest` takes the others. `branch("by-type", { card: isCard, cash: isCash })` */
    branch<T extends Tests<K, V>>(
      name: string,
      tests: T,
    ): { readonly [Arm in keyof T]: Stream<K, ArmOf<V, T[Arm]>> } & { readonly rest: Stream<K, V> };
  }
}

const facts: OperatorFacts = { work: branching, divides: true };
const ofArm: OperatorFacts = { work: passing, named: "topic", ends: true };

export function branch(
  this: StreamNode<unknown, unknown>,
  name: string,
  tests: Readonly<Record<string, Branch["tests"][number]>>,
): Record<string, unknown> {
  const operation: Branch = { kind: "branch", tests: Object.values(tests) };
  const node = this.next(name, operation, facts);
  const arms = [...Object.keys(tests), "rest"].map((label, index) => {
    const arm = { kind: "arm", index, label };
    return [label, node.next(`${name}.${label}`, arm, ofArm)];
  });
  return Object.fromEntries(arms);
}
