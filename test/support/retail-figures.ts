// What grocery lines must become, by a second, naive program: from the file or the generator straight to the figures,
// without a line of the pipeline or the engine.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { generateRetail } from "../../src/demo/retail.ts";

export const realFile: string = fileURLToPath(
  new URL("../../../shared/data/retail-transactions.csv.gz", import.meta.url),
);

/** A line as texts; money with two decimals. */
export interface Line {
  readonly household: string;
  readonly store: string;
  readonly basket: string;
  readonly product: string;
  readonly quantity: string;
  readonly money: readonly [sales: string, retail: string, coupon: string, match: string];
  readonly week: string;
  readonly epochSeconds: string;
}

export interface Expected {
  /** Arguments of `millrace produce retail.transactions` that send these lines. */
  readonly origin: readonly string[];
  /** The same lines as CSV, with the header of the real file. */
  readonly csv: readonly string[];
  readonly records: number;
  readonly rows: number;
  /** The sum of sales_value, as Postgres prints it. */
  readonly sales: string;
  /** Of every column of every row. */
  readonly checksum: string;
  /** For each household its lines with a quantity, in the order they were sent. */
  readonly lines: ReadonlyMap<string, readonly string[]>;
  /** Lines without a quantity, sorted. */
  readonly refused: readonly string[];
}

/** Six weeks of a real chain, or as many generated lines where the file is not at hand; or those of another file of the same kind. */
export function realOrGenerated(file: string = realFile): Expected & { readonly isReal: boolean } {
  if (!existsSync(file)) return { ...generated(148_193, 1), isReal: false };
  const [, ...lines] = gunzipSync(readFileSync(file)).toString("utf8").trimEnd().split("\n");
  return { ...expectedOf(["--file", file], lines.map(ofCsv)), isReal: true };
}

export function generated(count: number, seed: number): Expected {
  const lines = [...generateRetail({ count, seed })].map(({ value }): Line => {
    const { salesValue, retailDisc, couponDisc, couponMatchDisc } = value;
    const [sales = "", retail = "", coupon = "", match = ""] = [
      salesValue,
      retailDisc,
      couponDisc,
      couponMatchDisc,
    ].map((money) => cents(String(money)));
    return {
      household: value.householdId,
      store: value.storeId,
      basket: String(value.basketId),
      product: value.productId,
      quantity: String(value.quantity),
      money: [sales, retail, coupon, match],
      week: String(value.week),
      epochSeconds: String(value.transactionTimestamp / 1000),
    };
  });
  const origin = ["--generate", "retail", "--count", String(count), "--seed", String(seed)];
  return expectedOf(origin, lines);
}

/** household, store, basket, product, quantity, sales, three discounts, week, time. */
function ofCsv(text: string): Line {
  const cells = text.split(",");
  const at = (index: number): string => cells[index] ?? "";
  return {
    household: at(0),
    store: at(1),
    basket: at(2),
    product: at(3),
    quantity: at(4),
    money: [cents(at(5)), cents(at(6)), cents(at(7)), cents(at(8))],
    week: at(9),
    epochSeconds: String(Date.parse(`${at(10).replace(" ", "T")}Z`) / 1000),
  };
}

const HEADER =
  "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp";

const toCsv = (line: Line): string =>
  [
    ...[line.household, line.store, line.basket, line.product, line.quantity],
    ...line.money,
    line.week,
    new Date(Number(line.epochSeconds) * 1000).toISOString().slice(0, 19).replace("T", " "),
  ].join(",");

/** A file of lines `from` to `to`, as `--file` takes it. */
export function slice({ csv }: Expected, from: number, to: number): string {
  const file = join(mkdtempSync(join(tmpdir(), "millrace-lines-")), "lines.csv");
  writeFileSync(file, [HEADER, ...csv.slice(from, to), ""].join("\n"));
  return file;
}

function expectedOf(origin: readonly string[], all: readonly Line[]): Expected {
  const good = all.filter(({ quantity }) => Number(quantity) > 0);
  const sales = good.reduce((sum, { money }) => sum + BigInt(money[0].replace(".", "")), 0n);
  const digits = String(sales);
  return {
    origin,
    csv: all.map(toCsv),
    records: all.length,
    rows: good.length,
    sales: `${digits.slice(0, -2)}.${digits.slice(-2)}`,
    checksum: checksumOf(good),
    lines: new Map(
      [...Map.groupBy(good, ({ household }) => household)].map(([key, lines]) => [
        key,
        lines.map(nameOf),
      ]),
    ),
    refused: all
      .filter(({ quantity }) => Number(quantity) <= 0)
      .map(nameOf)
      .sort(),
  };
}

/** A product stands in a basket once. */
const nameOf = ({ basket, product }: Line): string => `${basket}/${product}`;

/** Two decimals, without arithmetic: "0.5" is "0.50". */
function cents(text: string): string {
  const [whole = "0", fraction = ""] = text.split(".");
  return `${whole}.${fraction.padEnd(2, "0")}`;
}

function checksumOf(lines: readonly Line[]): string {
  const byKey = (a: Line, b: Line): number =>
    Number(a.basket) - Number(b.basket) || Number(a.product) - Number(b.product);
  const rows = [...lines].sort(byKey).map((line) => {
    const { basket, product, household, store, quantity, money, week, epochSeconds } = line;
    return [basket, product, household, store, quantity, ...money, week, epochSeconds].join("|");
  });
  return createHash("md5").update(rows.join("\n")).digest("hex");
}
