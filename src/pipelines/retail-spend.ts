// Grocery spend, by household and by the department of what was bought. Lines and products come in any order: what is
// spent on a product waits in its state until the product is known, and moves along when it changes department.
import { decimal, pipeline, type Decimal } from "#engine";
import { productSpend, type ProductSpend } from "../../schemas/types/product-spend.v1.ts";
import { cleanTransactions, type RetailLine } from "../../topics/retail.ts";
import { retailProducts, type RetailProduct } from "../../topics/retail-products.ts";
import { spendByDepartment, spendByHousehold } from "../../topics/retail-spend.ts";
import { departmentSpends } from "../tables/department-spend.ts";
import { householdSpends } from "../tables/household-spend.ts";

/** Sums up what was spent, by household and by department. */
export const retailSpend = pipeline("retail-spend", ({ from }) => {
  const lines = from(cleanTransactions);
  lines
    .groupByKey()
    .sum("by-household", (line) => line.salesValue, { emit: "checkpoint" })
    .map("household-spend", (spend, { key }) => ({ householdId: key, spend }))
    .to(spendByHousehold);

  const products = from(retailProducts).map("product", asProduct);
  lines
    .map("line", asLine)
    .rekey("by-product", ({ productId }) => productId)
    .merge("lines-and-products", products)
    .mapWithState("with-department", { state: productSpend, map: withDepartment })
    .groupBy("by-department", ({ department }) => department)
    .sum("department-sum", ({ spend }) => spend, { emit: "checkpoint" })
    .map("department-spend", (spend, { key }) => ({ department: key, spend }))
    .to(spendByDepartment);

  from(spendByHousehold).upsertInto(householdSpends);
  from(spendByDepartment).upsertInto(departmentSpends);
});

interface Line {
  readonly kind: "line";
  readonly productId: string;
  readonly spend: Decimal;
}
interface Product {
  readonly kind: "product";
  readonly department: string;
}

/** What a sum by department needs of a line: the rest need not travel. */
const asLine = ({ productId, salesValue }: RetailLine): Line => ({
  kind: "line",
  productId,
  spend: salesValue,
});

const asProduct = ({ department }: RetailProduct): Product => ({ kind: "product", department });

/** What a department gains, or with a minus loses. */
interface Change {
  readonly department: string;
  readonly spend: Decimal;
}

interface Stepped {
  readonly state: ProductSpend;
  readonly emit: readonly Change[];
}

/** A line counts where its product belongs; a product brings along what was spent on it before. */
export const withDepartment = (state: ProductSpend | null, input: Line | Product): Stepped =>
  input.kind === "line" ? withLine(state, input.spend) : withProduct(state, input.department);

function withLine(state: ProductSpend | null, spend: Decimal): Stepped {
  const { department, spend: before } = state ?? { department: null, spend: decimal("0") };
  return {
    state: { department, spend: before.plus(spend) },
    emit: department === null ? [] : [{ department, spend }],
  };
}

function withProduct(state: ProductSpend | null, department: string): Stepped {
  if (state === null) return { state: { department, spend: decimal("0") }, emit: [] };
  const { department: before, spend } = state;
  const moved = { department, spend };
  if (before === null) return { state: moved, emit: [moved] };
  if (before === department || spend.eq(0n)) return { state: moved, emit: [] };
  return { state: moved, emit: [{ department: before, spend: spend.neg() }, moved] };
}
