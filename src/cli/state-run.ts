// What the verbs of `millrace state` share: their options, and what they work with.
import type { Plan } from "../engine/core/plan.ts";
import type { OperatePorts } from "../engine/operate/choice.ts";
import type { CliIo } from "./io.ts";
import type { OperateConnection } from "./operating.ts";
import { wholeOption } from "./option-values.ts";

export interface StateOptions {
  readonly key?: string;
  readonly keyBase64?: string;
  readonly partition?: string;
  readonly repair?: boolean;
  readonly showKeys?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export interface StateRun {
  readonly io: CliIo;
  readonly plan: Plan;
  readonly ports: OperatePorts;
  readonly connection: OperateConnection;
  readonly options: StateOptions;
}

export const partitionOption = ({ partition }: StateOptions): number | null =>
  wholeOption("--partition", partition, { min: 0, fallback: null });
