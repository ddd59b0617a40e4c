// What tables take, as the oracle has it: the newest version of each row, and letters of those that are refused.
import type { FlowSpec, Node, SourceRecord } from "../case.ts";
import { tableName } from "../flow.ts";
import { sinkName } from "../refusals.ts";
import { judged } from "../times.ts";
import * as fn from "../values.ts";
import type { Row } from "../values.ts";
import { count, letterText, sourceText, type Expected } from "./expected.ts";
import { directRows } from "./steps.ts";
import type { SinkPart } from "./way.ts";

/** A row that a table may not take, and what its letter says. */
interface Refusal {
  readonly row: Row;
  readonly version: number;
  readonly text: string;
}

const isRead = <T>(record: SourceRecord, time: T | null): boolean =>
  record.isPoison !== true && time !== null;

/** Rows of one id come from several tasks, or some may be refused unseen. */
export const isMixed = ({ refuses, partitions, sources }: FlowSpec, { by }: Node): boolean =>
  refuses || sources > 1 || (by === 1 && partitions > 1);

export class Tables {
  readonly #flow: FlowSpec;
  readonly #expected: Expected;
  readonly #versions = new Map<string, number>();

  constructor(flow: FlowSpec, expected: Expected) {
    [this.#flow, this.#expected] = [flow, expected];
  }

  /** A table's own part behind its internal topic: each row is a record. */
  sink(name: string, { node, isLoose, isMixed, items }: SinkPart): void {
    const refused: Refusal[] = [];
    for (const { key, row, timeMs } of items) {
      const outcome = (one: string): void => count(this.#expected, name, one, { isLoose, isMixed });
      if (row === null) {
        outcome("tombstone");
        continue;
      }
      const version = node.by === 1 ? row.v : timeMs;
      const text = letterText(sinkName(name), key, JSON.stringify(row));
      outcome(this.#offer(name, { row, version, text }, refused));
    }
    this.#refuse(name, refused);
  }

  /** A table whose part reads the first source. */
  direct(records: readonly SourceRecord[], nodes: readonly Node[]): void {
    const last = nodes.at(-1) as Node;
    const table = tableName(last);
    this.#expected.rows.set(table, new Map());
    const refused: Refusal[] = [];
    for (const record of records) {
      if (record.source !== 0) continue;
      const outcome = this.#directOne(record, nodes, refused);
      count(this.#expected, table, outcome, { isLoose: false, isMixed: isMixed(this.#flow, last) });
    }
    this.#refuse(table, refused);
  }

  /** Its outcome. */
  #directOne(record: SourceRecord, nodes: readonly Node[], refused: Refusal[]): string {
    const last = nodes.at(-1) as Node;
    const time = judged(this.#flow, record);
    const rows = isRead(record, time) ? directRows(record, nodes) : null;
    const text = letterText("in-0", record.key, sourceText(record));
    if (rows === null) {
      this.#expected.letters.push(text);
      return "dead-lettered";
    }
    // The last of a record's rows is tried, since all have one key.
    const row = rows.at(-1);
    if (row === undefined) return record.value === null ? "tombstone" : "filtered";
    const version = last.by === 1 ? row.v : (time?.ms ?? 0);
    return this.#offer(tableName(last), { row, version, text }, refused);
  }

  /** Its outcome. */
  #offer(table: string, offered: Refusal, refused: Refusal[]): string {
    const { row, version } = offered;
    if (!this.#flow.refuses || !fn.isRefused(row)) return this.#upsert(table, row, version);
    refused.push(offered);
    return "dead-lettered";
  }

  #refuse(table: string, refused: readonly Refusal[]): void {
    for (const { row, version, text } of refused) {
      const isHidden = version <= (this.#versions.get(`${table}/${row.id}`) ?? -1);
      this.#expected[isHidden ? "perhaps" : "letters"].push(text);
    }
  }

  #upsert(table: string, row: Row, version: number): string {
    const name = `${table}/${row.id}`;
    if (version < (this.#versions.get(name) ?? -1)) return "superseded";
    this.#versions.set(name, version);
    this.#expected.rows.get(table)?.set(row.id, row);
    return "emitted";
  }
}
