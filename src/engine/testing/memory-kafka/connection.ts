// The cluster as the clients of one worker reach it.
import type { Access } from "./broker/access.ts";
import type { GroupOffsets } from "./broker/group-offsets.ts";
import type { Groups } from "./broker/groups.ts";
import type { Topics } from "./broker/topics.ts";
import type { Transactions } from "./broker/transactions.ts";
import type { Wire } from "./wire.ts";

export interface Connection {
  readonly wire: Wire;
  readonly topics: Topics;
  readonly access: Access;
  readonly groups: Groups;
  readonly offsets: GroupOffsets;
  readonly transactions: Transactions;
  /** The version of the bytes that this worker stores. */
  readonly format: number;
  /** Bound of the records in one fetch of a partition. */
  readonly batchRecordsMax: number;
}
