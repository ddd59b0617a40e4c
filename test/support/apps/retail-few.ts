// The repository's retail pipeline, or with TEST_FEW one with another rule: lines of so many pieces or more are dropped.
import { pipeline, type Pipeline } from "#engine";
import { retail as declared } from "../../../src/pipelines/retail.ts";
import { retailLines } from "../../../src/tables/retail-lines.ts";
import { cleanTransactions, transactions } from "../../../topics/retail.ts";

const few = process.env["TEST_FEW"];

const retailOfFew = (pieces: number): Pipeline =>
  pipeline("retail", ({ from }) => {
    from(transactions)
      .expect("quantity-positive", (line) => line.quantity > 0, {
        otherwise: "dead-letter",
        dimension: "validity",
      })
      .filter("few", (line) => line.quantity < pieces)
      .to(cleanTransactions);
    from(cleanTransactions).upsertInto(retailLines);
  });

export const pipelines = [few === undefined ? declared : retailOfFew(Number(few))];
export const tables = [retailLines];
