// Pipelines with one mistake of each kind: for the test that all of them are told, and nothing is connected.
import { json, long, pipeline, string, topic, type TopicSource } from "#engine";

interface Item {
  readonly id: string;
  readonly n: number;
}
const declared = { value: json<Item>(), partitions: 2, owner: "tests" };
const items = topic("items", { ...declared, key: string });
const byNumber = topic("items.by-number", { ...declared, key: long });
/** Declared in a file that does not export it any more. */
const gone = undefined as unknown as TopicSource<string, Item>;

const readsNothing = pipeline("reads-nothing", ({ from }) => {
  from(gone).to(items);
});

const wrongKey = pipeline("wrong-key", ({ from }) => {
  // The compiler refuses it too; types are stripped at run time.
  from(items).to(byNumber as never);
});

const equalNames = pipeline("equal-names", ({ from }) => {
  from(items)
    .map("same", (item) => item)
    .filter("same", (item) => item.n > 0)
    .to(topic("items.kept", { ...declared, key: string }));
});

const first = pipeline("twins", ({ from }) => {
  from(items).to(topic("items.a", { ...declared, key: string }));
});
const second = pipeline("twins", ({ from }) => {
  from(items).to(topic("items.b", { ...declared, key: string }));
});

export const pipelines = [readsNothing, wrongKey, equalNames, first, second];
export const tables = [];
