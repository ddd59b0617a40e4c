import assert from "node:assert/strict";
import { test } from "node:test";
import { SchemaCache } from "../../../src/engine/runtime/task/schema-cache.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";
import { throwsCode } from "../../contract/kafka-port/world.ts";

const text = JSON.stringify({ type: "record", name: "T", fields: [{ name: "a", type: "int" }] });
const limits = { graceMs: 3_000, unknownMs: 30_000 };

class CountingRegistry extends MemoryRegistry {
  asked = 0;
  override schemaById(id: number): Promise<string | null> {
    this.asked++;
    return super.schemaById(id);
  }
}

function caching(): { clock: FakeClock; registry: CountingRegistry; cache: SchemaCache } {
  const clock = new FakeClock();
  const registry = new CountingRegistry();
  return { clock, registry, cache: new SchemaCache(registry, clock, limits) };
}

test("asks once for a known id, however many ask for it at a time", async () => {
  const { registry, cache } = caching();
  const id = registry.force("t-value", text);
  assert.equal(cache.get(id), undefined);
  await Promise.all([cache.learn([id]), cache.learn([id, id])]);
  await cache.learn([id]);
  assert.equal(cache.get(id), text);
  assert.equal(registry.asked, 1);
});

test("an id that is registered within the grace time is found", async () => {
  const { clock, registry, cache } = caching();
  const learning = cache.learn([1]);
  await clock.advance(2_000);
  assert.equal(registry.force("t-value", text), 1);
  await clock.advance(600);
  await learning;
  assert.equal(cache.get(1), text);
});

test("an unknown id stays unknown until it is forgotten, however long a batch takes", async () => {
  const { clock, registry, cache } = caching();
  const learning = cache.learn([1]);
  await clock.advance(3_500);
  await learning;
  assert.equal(cache.get(1), "unknown");
  registry.force("t-value", text);
  cache.forgetUnknown();
  assert.equal(cache.get(1), "unknown", "its time is not over");
  await clock.advance(limits.unknownMs);
  assert.equal(cache.get(1), "unknown", "nothing goes away but by forgetUnknown");
  cache.forgetUnknown();
  assert.equal(cache.get(1), undefined);
  await cache.learn([1]);
  assert.equal(cache.get(1), text);
});

test("a registry that is away is no verdict on an id", async () => {
  const { registry, cache } = caching();
  registry.setAvailable(false);
  await assert.rejects(cache.learn([1]), throwsCode("MILL_REGISTRY_UNAVAILABLE"));
  assert.equal(cache.get(1), undefined);
  registry.setAvailable(true);
  registry.force("t-value", text);
  await cache.learn([1]);
  assert.equal(cache.get(1), text);
});

test("what was wanted longest ago is forgotten before a scan, and asked for again", async () => {
  const clock = new FakeClock();
  const registry = new CountingRegistry();
  const meter = new RecordingMeter();
  const cache = new SchemaCache(registry, clock, { ...limits, schemasMax: 3 }, meter);
  const ids = [1, 2, 3, 4, 5].map((n) => registry.force(`t${String(n)}-value`, `"${String(n)}"`));
  await cache.learn(ids);
  assert.ok(
    ids.every((id) => cache.get(id) !== undefined),
    "nothing goes between a scan and its decoding",
  );
  cache.get(ids[0] as number);
  cache.forgetOld();
  assert.deepEqual(
    ids.filter((id) => cache.get(id) !== undefined),
    [ids[0], ids[3], ids[4]],
  );
  assert.equal(meter.counter("millrace_schemas_forgotten_total"), 2);
  await cache.learn(ids);
  assert.equal(registry.asked, 7);
});

test("the texts of schemas are bounded in sum", async () => {
  const registry = new CountingRegistry();
  const cache = new SchemaCache(registry, new FakeClock(), { ...limits, charactersMax: 250 });
  const ids = [1, 2, 3].map((n) => registry.force(`t${String(n)}-value`, String(n).repeat(100)));
  await cache.learn(ids);
  cache.forgetOld();
  assert.deepEqual(
    ids.map((id) => cache.get(id) !== undefined),
    [false, true, true],
  );
});
