// The options of the verbs of `millrace state`.
import type { VerbContext } from "./operating.ts";
import { wholeOption } from "./option-values.ts";

export interface StateOptions {
  readonly key?: string;
  readonly keyBase64?: string;
  readonly partition?: string;
  readonly repair?: boolean;
  readonly showKeys?: boolean;
  readonly personal?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export type StateContext = VerbContext<StateOptions>;

export const partitionOption = ({ partition }: StateOptions): number | null =>
  wholeOption("--partition", partition, { min: 0, fallback: null });
