// A problem of a pipeline, with the line that declared the operator.
import { ConfigError, type MillraceError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/error-table.ts";
import type { PlanNode } from "../../core/plan.ts";

export const problem = (code: ErrorCode, node: PlanNode, detail: string): MillraceError =>
  new ConfigError(code, `${node.site}  ${node.operation.kind} "${node.name}": ${detail}`);
