// Outputs that Kafka refuses: settings of topics are changed under way, so that a topic takes some records no longer, and
// are put back when each of these has become a letter. Ordinary records are far from every limit.
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../../src/engine/core/ports.ts";
import { flowTopics } from "../workload/fates.ts";
import type { Special } from "../workload/traffic.ts";
import type { World } from "../world/world.ts";
import { between, type Fault } from "./fault.ts";
import type { Refusal, Settings } from "./refusal.ts";
import { ofLetters } from "./refused-letters.ts";
import { ofOutputs } from "./refused-outputs.ts";

const LOOK_MS = 250;
const WITHIN_MS = 120_000;
/** A broker hears of new settings a moment after they are decided; on a busy machine that is long. */
const HEARD_MS = 2_000;

/** Runs with other settings; they are as they were in the end. */
async function withSettings(
  { checking: { admin } }: World,
  settings: Settings,
  work: () => Promise<unknown>,
): Promise<void> {
  const found = await admin.describeTopics(settings.map(([topic]) => topic));
  const before = settings.map(([topic, config]): Settings[number] => {
    const old = found.get(topic)?.config ?? {};
    return [topic, Object.fromEntries(Object.keys(config).map((name) => [name, old[name] ?? ""]))];
  });
  try {
    for (const [topic, config] of settings) await admin.alterTopicConfig(topic, config);
    await delay(HEARD_MS);
    await work();
  } finally {
    for (const [topic, config] of before) await admin.alterTopicConfig(topic, config);
    await delay(HEARD_MS);
  }
}

/** Resolves when it is so, or when it has not been for long. */
async function patiently(isSo: () => Promise<boolean>): Promise<void> {
  for (const until = performance.now() + WITHIN_MS; performance.now() < until;) {
    if (await isSo()) return;
    await delay(LOOK_MS);
  }
}

const waitsFor = async ({ crew }: World, topic: string): Promise<boolean> => {
  const healths = await Promise.all(crew.members.map((worker) => worker.health()));
  return healths.flatMap((health) => health?.reasons ?? []).some((why) => why.includes(topic));
};

/** One after the other, at the pace of the traffic, or all in one batch. */
async function send({ traffic }: World, specials: readonly Special[], random: Random) {
  const way = between(random, 1, 3);
  if (way === 1) for (const special of specials) await traffic.inject([special]);
  else await traffic.inject(specials, { isBatch: way === 2 });
}

const isRefused = ({ fate, letter }: Special): boolean => fate !== "good" || letter !== undefined;

interface Made {
  readonly name: string;
  readonly planned: number;
  readonly fired: number;
}

async function play(world: World, refusal: Refusal, random: Random): Promise<Made> {
  const topics = flowTopics(world);
  const specials = refusal.specials(random);
  const planned = specials.filter(isRefused).length;
  const before = await refusal.letters(world);
  const made = async (): Promise<number> => (await refusal.letters(world)) - before;
  const isDone = async (): Promise<boolean> => (await made()) >= planned;
  const stuckAt = refusal.stuckAt?.(topics);
  if (stuckAt !== undefined) world.crew.expectStop(stuckAt);
  await withSettings(world, refusal.settings(topics), async () => {
    await send(world, specials, random);
    await patiently(stuckAt === undefined ? isDone : () => waitsFor(world, stuckAt));
    // A letter that was made before the topic took it again would show nothing.
    if (stuckAt !== undefined && (await made()) > 0) throw new Error(`${stuckAt} took a letter`);
  });
  await patiently(isDone);
  return { name: refusal.name, planned, fired: await made() };
}

const shuffled = (random: Random): Refusal[] =>
  [...ofOutputs, ...ofLetters]
    .map((refusal) => ({ refusal, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ refusal }) => refusal);

export const refusedOutputs: Fault = {
  row: 47,
  name: "outputs that Kafka refuses",
  how:
    "limits of size and time and compaction of the output, repartition, changelog, table and dead-letter topics are " +
    "changed under way; what they refuse comes alone, among good records and in big batches",
  brokers: 1,
  async inject(world, random) {
    const all: Made[] = [];
    for (const refusal of shuffled(random)) {
      // Nothing that came before is still on its way.
      await world.recovery(performance.now());
      all.push(await play(world, refusal, random));
    }
    const sum = (of: (made: Made) => number): number => all.reduce((n, made) => n + of(made), 0);
    const note = all
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .map(({ name, planned, fired }) => `${name} ${String(fired)} of ${String(planned)}`);
    return {
      planned: sum(({ planned }) => planned),
      fired: sum(({ fired }) => fired),
      note: `letters: ${note.join(", ")}`,
    };
  },
};
