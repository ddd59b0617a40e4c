// The suite of table stores on the tables in memory.
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";
import { contractTable, tableStoreContract, type ContractRow } from "./table-store.ts";

tableStoreContract("in memory", async () => {
  const tables = new MemoryTables();
  tables.refuseRows(({ amount }) =>
    (amount as number) < 0 ? { code: "23514", message: "23514 check violation" } : null,
  );
  return {
    store: () => tables.store(contractTable),
    rows: async (orderIds) =>
      (tables.rows(contractTable) as unknown as readonly ContractRow[]).filter(({ orderId }) =>
        orderIds.includes(orderId),
      ),
    setAvailable: async (isUp) => tables.setAvailable(isUp),
    loseNextCommitReply: async () => tables.loseNextCommitReply(),
    close: async () => undefined,
  };
});
