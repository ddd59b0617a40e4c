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
  readonly values?: boolean;
  readonly yes?: boolean;
  /** False by --no-wait. */
  readonly wait?: boolean;
  readonly json?: boolean;
}

export type StateContext = VerbContext<StateOptions>;

/** A key as a person reads it: as text where it is some. */
export function keyText(key: Buffer): string {
  const text = key.toString("utf8");
  const isText = /^[^\p{C}\ufffd]*$/u.test(text);
  return isText ? text : `base64:${key.toString("base64")}`;
}

export const partitionOption = ({ partition }: StateOptions): number | null =>
  wholeOption("--partition", partition, { min: 0, fallback: null });
