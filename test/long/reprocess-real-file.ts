// Six weeks of a real chain's tills, live and once more: the same tables, to the cent. `npm run test:long`.
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkIdentity, ordersInput, productsFile } from "../support/identity.ts";
import { realFile, realOrGenerated } from "../support/retail-figures.ts";
import { privateStack } from "../support/stack.ts";

for (const workers of [1, 2])
  test(`the real file makes the same tables again, ${String(workers)} at work`, async (t) => {
    const stack = await privateStack();
    const { isReal, origin } = realOrGenerated();
    const products = isReal ? join(dirname(realFile), "retail-products.csv.gz") : productsFile(t);
    const produce = [
      ...ordersInput,
      ["retail.products", "--file", products],
      ["retail.transactions", ...origin],
    ];
    await checkIdentity(t, stack, { produce, workers });
  });
