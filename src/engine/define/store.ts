// The store of an operator as it is declared; `cut` gives it its topic's name and size.
import type { PlanStore } from "../core/plan.ts";
import type { SchemaFormat } from "../core/schema.ts";
import { days, type Duration } from "../core/span.ts";
import { DELETED_KEPT_MS, type DueOfUndated, type WrongValue } from "../core/state.ts";
import type { EntryReader } from "../core/state-reader.ts";
import { TIMESTAMP_TYPE, TIMESTAMPS_UNLIMITED } from "../core/topic-config.ts";

/** The time that Kafka keeps a tombstone after compaction: twice the age at which a copy is rebuilt from the start. */
export const TOMBSTONES_KEPT: Duration = days(7);

const changelogConfig: Readonly<Record<string, string>> = {
  "cleanup.policy": "compact",
  "delete.retention.ms": String(TOMBSTONES_KEPT.ms),
  // The age of a copy is by the broker's clock alone; event time is in the value.
  [TIMESTAMP_TYPE]: "LogAppendTime",
  ...TIMESTAMPS_UNLIMITED,
};

/** Facts of a store beside its value. */
interface StoreFacts {
  /** The time that an entry is kept, in stream time; left out: for ever. */
  readonly retention?: Duration;
  /** Default: the time of a deleted key is kept for a while, and a value is never due. */
  readonly dueOfUndated?: DueOfUndated;
  /** Left out where values are the user's own. */
  readonly wrongValue?: WrongValue;
  /** Left out where it has one entry a key, with a value. */
  readonly reader?: EntryReader | undefined;
  readonly keepsRecords?: true;
}

const dueOfDeleted: DueOfUndated = (_key, { timestamp, isDeleted }) =>
  isDeleted ? timestamp + DELETED_KEPT_MS : null;

/** Bytes-keyed until it is known what feeds it. */
export const storeOf = (
  name: string,
  value: SchemaFormat,
  { retention, dueOfUndated = dueOfDeleted, wrongValue, reader, keepsRecords }: StoreFacts = {},
): PlanStore => ({
  name,
  changelog: {
    name: "",
    key: { kind: "bytes" },
    value,
    partitions: 0,
    timestamp: null,
    internal: "changelog",
    config: changelogConfig,
    personalData: [],
  },
  retentionMs: retention?.ms ?? null,
  dueOfUndated,
  wrongValue: wrongValue ?? null,
  ...(reader === undefined ? {} : { reader }),
  ...(keepsRecords === undefined ? {} : { keepsRecords }),
});
