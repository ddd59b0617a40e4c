// What must not compile of calls: each `@ts-expect-error` fails `npm run check:types` when its line compiles.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, milliseconds, resource, seconds, string, topic, type Stream } from "#engine";
import { double } from "#testing";
import { z } from "zod";

interface Order {
  readonly address: string;
}
interface Placed extends Order {
  readonly country: string;
}
class Geocoder {
  find(_address: string, _signal: AbortSignal): Promise<string> {
    return Promise.resolve("NL");
  }
}
const geocoder = resource("geocoder", {
  env: { GEOCODER_URL: z.url(), GEOCODER_LIMIT: z.coerce.number() },
  open: ({ GEOCODER_URL, GEOCODER_LIMIT }) => {
    const [url, limit]: [string, number] = [GEOCODER_URL, GEOCODER_LIMIT];
    assert.ok(url !== "" && limit > 0);
    return new Geocoder();
  },
  close: (client) => void client.find("", new AbortController().signal),
});
const placed = topic("placed", {
  key: string,
  value: json<Placed>(),
  partitions: 2,
  owner: "tests",
});
const bounds = { concurrency: 4, timeout: seconds(2) };

/** What stands in a builder that nobody calls. */
const compiled = (build: (stream: Stream<string, Order>) => void): void => {
  assert.equal(typeof build, "function");
};

test("a call is given its resource's client, and its promise is what goes on", () => {
  compiled((stream) => {
    stream
      .mapAsync(
        "place",
        async (o, { client, signal, record }) => {
          const key: string = record.key;
          return { ...o, country: (await client.find(o.address, signal)) + key };
        },
        { client: geocoder, ...bounds },
      )
      .to(placed);
    // @ts-expect-error without a resource there is no client
    stream.mapAsync("none", (o, { client }) => client.find(o.address), bounds);
    // @ts-expect-error the client finds texts, not numbers
    stream.mapAsync("other", (o, { client }) => client.find(3), { client: geocoder, ...bounds });
    // @ts-expect-error what the call answers has no country
    stream.mapAsync("lacks", (o) => Promise.resolve(o), bounds).to(placed);
    // @ts-expect-error a callback that does not wait is a map
    stream.mapAsync("now", (o) => o, bounds);
  });
});

test("what decides correctness has no default, and spans are Durations", () => {
  const ask = (o: Order): Promise<Order> => Promise.resolve(o);
  compiled((stream) => {
    // @ts-expect-error how many at a time?
    stream.mapAsync("many", ask, { timeout: seconds(1) });
    // @ts-expect-error for how long?
    stream.mapAsync("long", ask, { concurrency: 1 });
    // @ts-expect-error 1000 of what?
    stream.mapAsync("bare", ask, { concurrency: 1, timeout: 1000 });
    const backoff = { first: milliseconds(100), max: seconds(5) };
    stream.mapAsync("right", ask, {
      ...bounds,
      retry: { mode: "block", attempts: 3, backoff, fatal: [TypeError] },
    });
    // @ts-expect-error no such mode
    stream.mapAsync("mode", ask, { ...bounds, retry: { mode: "skip", attempts: 3, backoff } });
    // @ts-expect-error how often?
    stream.mapAsync("often", ask, { ...bounds, retry: { mode: "block", backoff } });
    const three = { mode: "block", attempts: 3, backoff } as const;
    // @ts-expect-error a name is no class of errors
    stream.mapAsync("fatal", ask, { ...bounds, retry: { ...three, fatal: ["TypeError"] } });
    // @ts-expect-error there is no breaker
    stream.mapAsync("breaker", ask, { ...bounds, breaker: {} });
  });
});

test("a double is what the resource is", () => {
  assert.equal(double(geocoder, () => new Geocoder()).resource, geocoder);
  // @ts-expect-error a number is no Geocoder
  double(geocoder, () => 3);
  // @ts-expect-error the settings have no such name
  resource("wrong", { env: { A: z.url() }, open: ({ B }) => B });
});
