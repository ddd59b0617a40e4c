// What happens to the schema registry while records with a new schema id come: gone, silent, answering nonsense; and ids
// that it does not know.
import { setTimeout as delay } from "node:timers/promises";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { orderSchemaV2, type Order } from "../../support/apps/chaos.ts";
import { eventually } from "../../support/eventually.ts";
import type { FaultProxy } from "../../support/fault-proxy.ts";
import type { World } from "../world/world.ts";
import type { Fault } from "./fault.ts";

const AWAY_MS = 4_000;
const answer = (status: string): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`;

interface Trouble {
  readonly name: string;
  begin(proxy: FaultProxy): void;
  end(proxy: FaultProxy): void;
  count(proxy: FaultProxy): number;
}

const answering = (status: string): Trouble => ({
  name: `answers ${status}`,
  begin: (proxy) => proxy.answer(answer(status)),
  end: (proxy) => proxy.answer(null),
  count: ({ counts }) => counts.answered,
});

const troubles: readonly Trouble[] = [
  {
    name: "down",
    begin: (proxy) => {
      proxy.refuse(true);
      proxy.cutAll();
    },
    end: (proxy) => proxy.refuse(false),
    count: ({ counts }) => counts.refused,
  },
  {
    name: "silent",
    begin: (proxy) => proxy.silence(true),
    end: (proxy) => {
      proxy.silence(false);
      proxy.cutAll();
    },
    count: ({ counts }) => counts.swallowed,
  },
  answering("500 Internal Server Error"),
  answering("400 Bad Request"),
  answering("429 Too Many Requests"),
];

let fields = 0;

/** A schema that no worker has seen; from here on every other record is written by it. */
async function learnNew({ checking, app, traffic, prefix }: World): Promise<void> {
  const schema = orderSchemaV2(`${prefix}x${String(++fields)}`);
  const subject = `${app.orders.name}-value`;
  const writerId = await checking.clients.registry.register(subject, JSON.stringify(schema));
  const format = { kind: "avro", name: "chaos.Order", schema: schema as AvroSchema } as const;
  const codec = compileCodec(format, { schemas: { get: () => undefined }, writerId });
  const field = `${prefix}x${String(fields)}`;
  traffic.newer = (order: Order) => codec.encode({ ...order, [field]: "new" }) as Buffer;
}

const away: Fault = {
  row: 28,
  name: "registry away",
  how: "refuses, is silent, answers 500, 400, 429, each for 4 s, each time with a new schema id in the flow",
  brokers: 1,
  async inject(world) {
    const { registry } = world.servers;
    const seen: string[] = [];
    for (const trouble of troubles) {
      const before = trouble.count(registry);
      trouble.begin(registry);
      await learnNew(world);
      await delay(AWAY_MS);
      const look = (): true | null => (trouble.count(registry) > before ? true : null);
      if ((await eventually(trouble.name, look, 15_000).catch(() => null)) === true)
        seen.push(trouble.name);
      trouble.end(registry);
      // Its schema is learnt before the next trouble.
      await world.recovery(performance.now());
    }
    return { planned: troubles.length, fired: seen.length, note: seen.join(", ") };
  },
};

const withId =
  (id: number) =>
  (encoded: Buffer): Buffer => {
    const bytes = Buffer.from(encoded);
    bytes.writeInt32BE(id, 1);
    return bytes;
  };

const unknown: Fault = {
  row: 29,
  name: "schema ids unknown or of another type",
  how: "five records with an id that the registry has not, five with the id of another topic's schema",
  brokers: 1,
  async inject({ checking, app, traffic }) {
    const { schema } = app.totals.value.format as { schema: AvroSchema };
    const subject = `${app.totals.name}-value`;
    const other = await checking.clients.registry.idOf(subject, JSON.stringify(schema));
    const five = [1, 2, 3, 4, 5];
    const fired = await traffic.inject([
      ...five.map((n) => ({ fate: "decode" as const, value: withId(9_000_000 + n) })),
      ...five.map(() => ({ fate: "schema" as const, value: withId(other ?? 0) })),
    ]);
    return { planned: 10, fired, note: "letters are counted by the oracle" };
  },
};

export const registryFaults: readonly Fault[] = [away, unknown];
