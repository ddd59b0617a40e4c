// A member that is stopped at any request of its start leaves its group at once: nobody waits for a session to end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { FaultSockets, type Api } from "../../support/fault-sockets.ts";
import { KafkaFixture } from "../../support/kafka.ts";

/** The client's session, after which the group would forget the member by itself. */
const SESSION_MS = 2_000;

interface Point {
  readonly what: string;
  readonly api: Api;
  /** Which request of this kind. */
  readonly nth: number;
  readonly when: "sent" | "answered";
}

const points: readonly Point[] = [
  { what: "the coordinator is asked for", api: "findCoordinator", nth: 1, when: "sent" },
  { what: "the coordinator is known", api: "findCoordinator", nth: 1, when: "answered" },
  { what: "the member id is asked for", api: "joinGroup", nth: 1, when: "sent" },
  { what: "the member id is there", api: "joinGroup", nth: 1, when: "answered" },
  { what: "it joins", api: "joinGroup", nth: 2, when: "sent" },
  { what: "it has joined", api: "joinGroup", nth: 2, when: "answered" },
  { what: "it asks for its share", api: "syncGroup", nth: 1, when: "sent" },
  { what: "it has its share", api: "syncGroup", nth: 1, when: "answered" },
];

for (const { what, api, nth, when } of points)
  test(`stopped when ${what}, a member leaves its group at once`, async (t) => {
    const kafka = await KafkaFixture.for(t);
    const topic = await kafka.topic();
    const group = kafka.name("group");
    const faults = new FaultSockets();
    const consumer = kafka.consumer(kafka.port({ socketFactory: faults.factory }), group, [topic]);
    const stopped = new Promise<void>((resolve) => {
      faults.on(api, nth, when, () => void consumer.stop().then(resolve));
    });
    const started = consumer.start({
      onAssigned: () => Promise.resolve(),
      onRevoked: () => Promise.resolve(),
      onBatch: () => undefined,
      onEnd: () => undefined,
      onOutOfRange: () => undefined,
      onUnreadable: () => undefined,
      onRefused: () => undefined,
      onFatal: () => undefined,
    });
    await stopped;
    await started.catch(() => undefined);
    const began = Date.now();
    const admin = kafka.port().admin();
    await eventually("the group is empty", async () =>
      (await admin.describeGroup(group)).members.length === 0 ? true : null,
    );
    const tookMs = Date.now() - began;
    // What was on its way may reach the group a little later.
    await delay(300);
    assert.deepEqual((await admin.describeGroup(group)).members, []);
    assert.ok(tookMs < SESSION_MS / 2, `${String(tookMs)} ms`);
  });
