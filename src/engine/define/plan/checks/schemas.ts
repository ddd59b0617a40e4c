// Checks the schemas of a pipeline before anything is connected: Avro that cannot be used, rows that cannot be a table.
import { parseAvro } from "../../../core/avro-parser.ts";
import { entryOf } from "../../../core/error-table.ts";
import { ConfigErrors, MillraceError } from "../../../core/errors.ts";
import type { PlanNode } from "../../../core/plan.ts";
import type { SchemaFormat } from "../../../core/schema.ts";
import { layoutOf, type TableSpec } from "../../../core/table-layout.ts";
import { unknownTopic } from "../../nodes/plan-topic.ts";
import { problem } from "../../nodes/problem.ts";

export function schemas(nodes: readonly PlanNode[]): MillraceError[] {
  // A topic that is read and written is checked once.
  const seen = new Set<SchemaFormat>();
  return nodes.flatMap((node) => {
    const { table, topic = unknownTopic } = node.operation;
    if (table !== undefined) return tableProblems(node, table.declaration as TableSpec);
    if (topic === unknownTopic) return [];
    const { name, key, value } = topic;
    return [key, value].flatMap((format) => {
      if (seen.has(format)) return [];
      seen.add(format);
      return schemaProblems(node, format, name);
    });
  });
}

function schemaProblems(node: PlanNode, format: SchemaFormat, topic: string): MillraceError[] {
  if (format.kind === "nullable") return schemaProblems(node, format.of, topic);
  if (format.kind !== "avro") return [];
  try {
    parseAvro(format.schema);
    return [];
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return [
      problem("MILL_SCHEMA_INVALID", node, `topic ${topic}, ${format.name}: ${detailOf(error)}`),
    ];
  }
}

function tableProblems(node: PlanNode, table: TableSpec): MillraceError[] {
  try {
    layoutOf(table);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error;
    return error.problems.map((one) => problem(one.code, node, detailOf(one)));
  }
}

/** Without the sentence of the code, which the problem has of its own. */
const detailOf = ({ code, message }: MillraceError): string =>
  message.replace(`${entryOf(code).message}: `, "");
