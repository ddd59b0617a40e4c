// Customers and products that the generated orders refer to.
import { customers, type Customer } from "../../topics/customers.ts";
import { products, type Product } from "../../topics/products.ts";
import type { GeneratedRecord } from "./generated-record.ts";
import { idOf, randomNumbers, type RandomNumbers } from "./random-numbers.ts";

export const CUSTOMERS = 1_000;
export const PRODUCTS = 200;
/** A shop's first accounts have no creation date. */
const WITHOUT_DATE_SHARE = 0.05;
const FIRST_ACCOUNT = Date.UTC(2019, 0, 1);
const ACCOUNT_SECONDS = 6 * 365 * 86_400;

const GIVEN = ["Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jun"];
const FAMILY = ["Abara", "Brown", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Haddad", "Ito"];
const THINGS = ["kettle", "lamp", "chair", "notebook", "backpack", "blanket", "knife", "radio"];
const LOOKS = ["plain", "blue", "small", "large", "folding", "light", "sturdy"];
const CATEGORIES = ["home", "kitchen", "office", "outdoor"];

export const customerId = (index: number): string => idOf("c", index, 4);
export const productId = (index: number): string => idOf("p", index, 3);

/** Every customer once. */
export function* generateCustomers(
  seed: number,
  count = CUSTOMERS,
): Iterable<GeneratedRecord<Customer>> {
  for (let i = 1; i <= count; i++) {
    const id = customerId(i);
    yield { topic: customers.name, key: id, value: customerOf(id, randomNumbers(seed, i)) };
  }
}

const customerOf = (id: string, random: RandomNumbers): Customer => ({
  customerId: id,
  name: `${random.pick(GIVEN)} ${random.pick(FAMILY)}`,
  email: `${id}@shop.example`,
  createdDate:
    random.fraction() < WITHOUT_DATE_SHARE
      ? null
      : FIRST_ACCOUNT + random.whole(0, ACCOUNT_SECONDS) * 1000,
});

/** Every product once. */
export function* generateProducts(
  seed: number,
  count = PRODUCTS,
): Iterable<GeneratedRecord<Product>> {
  for (let i = 1; i <= count; i++) {
    const id = productId(i);
    const random = randomNumbers(seed, i);
    const name = `${random.pick(LOOKS)} ${random.pick(THINGS)}`;
    const value = { productId: id, name, category: random.pick(CATEGORIES) };
    yield { topic: products.name, key: id, value };
  }
}
