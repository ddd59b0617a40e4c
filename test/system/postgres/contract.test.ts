// The contract of a TableStore, on a real Postgres.
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { contractTable, tableStoreContract, type ContractRow } from "../../contract/table-store.ts";
import { postgresFixture, stillClock } from "./fixture.ts";

tableStoreContract("Postgres", async () => {
  const { database, proxy, pool, close } = await postgresFixture([contractTable]);
  return {
    store: () => postgresTableStore(pool, contractTable, { clock: stillClock }),
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
});
