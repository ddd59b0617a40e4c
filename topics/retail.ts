// Grocery lines as the tills send them, and those that passed the rules. Both keyed by household, so that all
// of a household's lines stay in order.
import { days, string, topic } from "#engine";
import { retailLine, type RetailLine } from "../schemas/types/retail-line.v1.ts";
export type { RetailLine } from "../schemas/types/retail-line.v1.ts";

const lines = {
  key: string,
  value: retailLine,
  partitions: 4,
  owner: "team-retail",
  retention: days(30),
  // Event time is in the value; Kafka counts retention from arrival, or lines of past years would be gone at once.
  config: { "message.timestamp.type": "LogAppendTime" },
  timestamp: (line: RetailLine) => line.transactionTimestamp,
  // Tills of past years are sent again and again: the wall clock says nothing of their time.
  idleAfter: "never" as const,
};

/** One record per product at the till. */
export const transactions = topic("retail.transactions", {
  ...lines,
  description: "Lines of grocery baskets, unchecked.",
});

/** Lines with a quantity. */
export const cleanTransactions = topic("retail.clean", {
  ...lines,
  description: "Lines of grocery baskets that passed every rule.",
});

/** Clean lines that came when their basket was closed. */
export const lateTransactions = topic("retail.late", {
  ...lines,
  description: "Lines of grocery baskets that came too late for their basket.",
});
