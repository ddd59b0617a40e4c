// The contract of a TableStore, on a real Postgres.
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { correctionContract } from "../../contract/corrections.ts";
import { rowOutcomeContract } from "../../contract/row-outcomes.ts";
import {
  contractTable,
  tableStoreContract,
  type ContractRow,
  type TableStoreFixture,
} from "../../contract/table-store.ts";
import { postgresFixture, stillClock } from "./fixture.ts";

const make = async (): Promise<TableStoreFixture> => {
  const { database, proxy, pool, close } = await postgresFixture([contractTable]);
  return {
    store: (corrects) => postgresTableStore(pool, contractTable, { clock: stillClock, corrects }),
    rows: (orderIds) =>
      database.query<ContractRow>(
        `SELECT order_id AS "orderId", amount::integer AS amount, updated_at AS "updatedAt"
         FROM contract_orders WHERE order_id = ANY($1) ORDER BY order_id`,
        [orderIds],
      ),
    setAvailable: (isUp) => {
      proxy.refuse(!isUp);
      if (!isUp) proxy.cutAll();
      return Promise.resolve();
    },
    loseNextCommitReply: () => {
      proxy.cutOnce({ direction: "to-server", at: "COMMIT\0", forward: true });
      return Promise.resolve();
    },
    close,
  };
};

tableStoreContract("Postgres", make);
correctionContract("Postgres", make);
rowOutcomeContract("Postgres", make);
