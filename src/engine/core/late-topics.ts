// Topics of a pipeline that need not exist: the states of letters and the redrive topic are made by the first command that
// writes them, and `-parked` is where 0.1.0 put parked letters. Until such a topic is there it is as good as empty: readers
// go through `late`, commands that write go through `makeStates` and `makeRedrive`, and running workers look for it.
import { detailOf, MillraceError } from "./errors.ts";
import { isAuth } from "./exit-codes.ts";
import type { AdminPort, TopicSpec, Watermarks } from "./kafka.ts";
import {
  BROKER_DEFAULTS,
  letterStatesSpec,
  redriveSpec,
  type TopicDefaults,
} from "./own-topics.ts";
import type { Plan } from "./plan.ts";
import type { TopicName } from "./record.ts";

interface ReadingPorts {
  readonly admin: Pick<AdminPort, "watermarks">;
}

/** The same ports, to which a topic that is missing has no partitions. */
export const late = <P extends ReadingPorts>(ports: P): Omit<P, "admin"> & ReadingPorts => ({
  ...ports,
  admin: { watermarks: (topic) => watermarksIfAny(ports.admin, topic) },
});

export const watermarksIfAny = (
  admin: Pick<AdminPort, "watermarks">,
  topic: TopicName,
): Promise<readonly Watermarks[]> => admin.watermarks(topic).catch(noneIfMissing);

function noneIfMissing(error: unknown): readonly Watermarks[] {
  if (error instanceof MillraceError && error.code === "MILL_TOPIC_MISSING") return [];
  throw error;
}

export interface MakingPorts {
  readonly admin: Pick<AdminPort, "watermarks" | "describeTopics" | "createTopics">;
  readonly topicDefaults?: TopicDefaults;
}

/** Returns whether it had to be made. Who finds it there reads it strictly from now on. */
export const makeStates = (plan: Plan, ports: MakingPorts): Promise<boolean> =>
  make(letterStatesSpec(plan, ports.topicDefaults ?? BROKER_DEFAULTS), ports);

/** After the states: whoever finds the redrive topic finds them too. Returns whether it had to be made. */
export async function makeRedrive(plan: Plan, ports: MakingPorts): Promise<boolean> {
  await makeStates(plan, ports);
  return make(redriveSpec(plan, ports.topicDefaults ?? BROKER_DEFAULTS), ports);
}

/** Whether a letter was ever written: before that nothing can be said of one. */
export async function hasLetters(
  { deadLetters, parked }: Pick<Plan, "deadLetters" | "parked">,
  { admin }: ReadingPorts,
): Promise<boolean> {
  const marks = [
    ...(await watermarksIfAny(admin, deadLetters)),
    ...(await watermarksIfAny(admin, parked)),
  ];
  return marks.some(({ high }) => high > 0n);
}

async function make(spec: TopicSpec, { admin }: MakingPorts): Promise<boolean> {
  const found = await admin.describeTopics([spec.topic]);
  if ((found.get(spec.topic) ?? null) !== null) return false;
  try {
    await admin.createTopics([spec]);
    return true;
  } catch (error) {
    if (!(error instanceof MillraceError) || error.disposition === "retry") throw error;
    const code = isAuth(error.code) ? error.code : "MILL_TOPIC_NOT_MADE";
    throw new MillraceError(code, notMade(spec, error), { cause: error });
  }
}

function notMade({ topic, partitions }: TopicSpec, error: MillraceError): string {
  const flag = "npx millrace topics apply --with-redrive";
  return `${topic} with ${String(partitions)} partitions: ${detailOf(error)}. Give this user the right Create on it, or let one who has the right run ${flag}`;
}
