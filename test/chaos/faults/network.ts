// What happens between workers and every server at once: latency, small slices, a trickle, resets, a lost route, answers
// to single requests that never come. By proxies, so without root.
import { setTimeout as delay } from "node:timers/promises";
import type { Api } from "../../support/fault-sockets.ts";
import { eventually } from "../../support/eventually.ts";
import type { FaultProxy } from "../../support/fault-proxy.ts";
import { isRequest } from "../world/kafka-frames.ts";
import type { World } from "../world/world.ts";
import type { Fault } from "./fault.ts";

const proxiesOf = ({ servers }: World): readonly FaultProxy[] => [
  ...servers.cluster.proxies,
  servers.redis,
  servers.postgres,
  servers.registry,
];

interface Weather {
  readonly name: string;
  strike(proxies: readonly FaultProxy[]): Promise<void>;
  count(proxy: FaultProxy): number;
}

const shaping = (name: string, shape: Parameters<FaultProxy["shape"]>[0], ms: number): Weather => ({
  name,
  async strike(proxies) {
    for (const proxy of proxies) proxy.shape(shape);
    await delay(ms);
    for (const proxy of proxies) proxy.shape();
  },
  count: ({ counts }) => counts.shaped,
});

const weathers: readonly Weather[] = [
  shaping("latency of 200 ms", { latencyMs: 200 }, 6_000),
  shaping("slices of 64 bytes", { sliceBytes: 64 }, 4_000),
  shaping("100 kB a second", { bytesPerSecond: 100_000, sliceBytes: 1_000 }, 6_000),
  {
    name: "resets",
    async strike(proxies) {
      for (let i = 0; i < 5; i++) {
        for (const proxy of proxies) proxy.resetAll();
        await delay(700);
      }
    },
    count: ({ counts }) => counts.broken,
  },
  {
    name: "lost route for 8 s",
    async strike(proxies) {
      for (const proxy of proxies) proxy.silence(true);
      await delay(8_000);
      for (const proxy of proxies) {
        proxy.silence(false);
        // What was half said would be taken for something else.
        proxy.resetAll();
      }
    },
    count: ({ counts }) => counts.swallowed,
  },
];

/** Requests of whose answers one is lost: what they have decided must not be guessed. */
const answers: readonly Api[] = ["produce", "txnOffsetCommit", "endTxn", "addOffsets"];

async function loseAnswers(world: World): Promise<readonly string[]> {
  const { proxies } = world.servers.cluster;
  const lost: string[] = [];
  const cuts = (): number => proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
  for (const api of answers) {
    const before = cuts();
    for (const proxy of proxies)
      proxy.cutOnce({ direction: "to-server", at: isRequest(api), forward: true });
    const look = (): true | null => (cuts() > before ? true : null);
    if ((await eventually(api, look, 20_000).catch(() => null)) === true) lost.push(api);
    for (const proxy of proxies) proxy.cutNone();
    await delay(500);
  }
  return lost;
}

const network: Fault = {
  row: 42,
  name: "network in trouble",
  how: "latency, slices, a trickle, resets, a lost route to every server; answers of four kinds of requests lost",
  brokers: 1,
  async inject(world) {
    const proxies = proxiesOf(world);
    const seen: string[] = [];
    for (const { name, strike, count } of weathers) {
      const total = (): number => proxies.reduce((sum, proxy) => sum + count(proxy), 0);
      const before = total();
      await strike(proxies);
      if (total() > before) seen.push(name);
    }
    await world.recovery(performance.now());
    const lost = await loseAnswers(world);
    return {
      planned: weathers.length + answers.length,
      fired: seen.length + lost.length,
      note: [...seen, ...lost.map((api) => `answer to ${api} lost`)].join(", "),
    };
  },
};

export const networkFaults: readonly Fault[] = [network];
