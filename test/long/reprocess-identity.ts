// The same pipeline over the same range makes the same tables, sums included: every pipeline of the repository.
import { test } from "node:test";
import { checkIdentity, ordersInput, productsFile } from "../support/identity.ts";
import { privateStack } from "../support/stack.ts";

test("every table of every pipeline is made again as it is, with two workers", async (t) => {
  const stack = await privateStack();
  const retail = ["--generate", "retail", "--count", "20000"];
  const produce = [
    ...ordersInput,
    ["retail.products", "--file", productsFile(t)],
    ["retail.transactions", ...retail],
  ];
  await checkIdentity(t, stack, { produce, workers: 2 });
});
