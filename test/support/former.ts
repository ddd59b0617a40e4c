// A pipeline as an earlier release ran it: every piece that reads topics of others was part of `main`. Its bytes are written
// here by hand, as that release wrote them; its workers are today's, kept from knowing that parts may have other names.
import type { AdminPort, KafkaPort } from "../../src/engine/core/kafka.ts";
import { formerNames } from "../../src/engine/core/pieces.ts";
import type { Part, Plan } from "../../src/engine/core/plan.ts";
import { noteRecord } from "../../src/engine/notes/notes.ts";
import type { Fleet } from "./fleet.ts";

export function asBefore(plan: Plan): Plan {
  const begun = plan.parts.filter((part) => formerNames(part).length > 0);
  const [main] = begun as [Part, ...Part[]];
  const whole: Part = {
    ...main,
    nodes: begun.flatMap(({ nodes }) => nodes),
    sources: begun.flatMap(({ sources }) => sources),
    stores: begun.flatMap(({ stores }) => stores),
    groups: begun.flatMap(({ groups }) => groups),
    partitions: Math.max(...begun.map(({ partitions }) => partitions)),
  };
  return { ...plan, parts: [whole, ...plan.parts.filter((part) => !begun.includes(part))] };
}

/** Sees no progress of other groups than the old ones. */
export function unknowing(port: KafkaPort, plan: Plan): KafkaPort {
  const groups = asBefore(plan).parts.map(({ group }) => group);
  return changed(port, {
    admin: () => {
      const admin = port.admin();
      const committed: AdminPort["committed"] = (group, partitions, options) =>
        groups.includes(group)
          ? admin.committed(group, partitions, options)
          : Promise.resolve(partitions.map((at) => ({ ...at, nextOffset: null, metadata: "" })));
      return changed(admin, { committed });
    },
  });
}

/** The methods of an object, some of them others. */
const changed = <T extends object>(of: T, changes: Partial<T>): T =>
  new Proxy(of, {
    get(target, name) {
      const value: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });

export interface OldProgress {
  readonly topic: string;
  readonly partition?: number;
  readonly nextOffset: number;
  readonly consumed?: number;
  readonly timeMs?: number;
}

/** Progress in `main`, with the note of where it began, byte for byte as 0.1.0 had them. */
export async function ranBefore(
  fleet: Fleet,
  plan: Plan,
  all: readonly OldProgress[],
): Promise<void> {
  const port = fleet.kafka.port();
  const group = `${plan.namespace}${plan.pipeline}.main`;
  const topics = await fleet.during(port.admin().describeTopics(all.map(({ topic }) => topic)));
  const notes = all.map(({ topic, partition = 0 }) => {
    const key = `start/${group}/${topic}-${String(partition)}`;
    const id = topics.get(topic)?.id ?? "";
    return noteRecord(plan.meta, key, `{"nextOffset":"0","topicId":"${id}"}`);
  });
  await fleet.during(port.producer().send(notes));
  const progress = all.map(
    ({ topic, partition = 0, nextOffset, consumed = nextOffset, timeMs }) => {
      const time = timeMs === undefined ? "" : `"time":${String(timeMs)},`;
      const counts = `"consumed":${String(consumed)},"emitted":${String(consumed)}`;
      const metadata = `{"v":1,"owner":"millrace-old",${time}"ledger":{${counts}}}`;
      return { topic, partition, nextOffset: BigInt(nextOffset), metadata };
    },
  );
  await fleet.during(port.admin().commitOffsets(group, progress));
}
