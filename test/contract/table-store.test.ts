// The suite of table stores on the tables in memory.
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";
import { correctionContract } from "./corrections.ts";
import { rowOutcomeContract } from "./row-outcomes.ts";
import {
  contractTable,
  tableStoreContract,
  type ContractRow,
  type TableStoreFixture,
} from "./table-store.ts";

const make = async (): Promise<TableStoreFixture> => {
  const tables = new MemoryTables();
  tables.refuseRows(({ amount }) =>
    (amount as number) < 0 ? { code: "23514", message: "23514 check violation" } : null,
  );
  return {
    store: (corrects) => tables.store(contractTable, undefined, corrects),
    rows: async (orderIds) =>
      (tables.rows(contractTable) as unknown as readonly ContractRow[]).filter(({ orderId }) =>
        orderIds.includes(orderId),
      ),
    setAvailable: async (isUp) => tables.setAvailable(isUp),
    loseNextCommitReply: async () => tables.loseNextCommitReply(),
    close: async () => undefined,
  };
};

tableStoreContract("in memory", make);
correctionContract("in memory", make);
rowOutcomeContract("in memory", make);
