// Open dead letters of the live pipeline as the input of a run: each once, as the record that failed, into the run's copy of
// the topic that it came from; one that failed behind a topic of the pipeline's own goes into the run's.
import { MillraceError } from "../../core/errors.ts";
import { isBetween, type Plan } from "../../core/plan.ts";
import type { OutRecord, TopicName } from "../../core/record.ts";
import { sendOnce } from "../../core/send-once.ts";
import { withAge } from "../../core/time-headers.ts";
import type { FoundLetter } from "../../letters/found-letter.ts";
import { recordOf } from "../../letters/pointer.ts";
import { readLetters } from "../../letters/read-letters.ts";
import { counterpartOf } from "../plan/shadow.ts";
import type { ReprocessPorts } from "../words/ports.ts";

/** Returns how many were sent. Letters that were resolved, discarded or redriven stay where they are. */
export async function fillFromLetters(
  plan: Plan,
  shadow: Plan,
  ports: ReprocessPorts,
): Promise<number> {
  // What the run reads from the topic itself, as a reference topic, it reads anyway.
  const isRead = ({ topic }: FoundLetter["origin"]): boolean =>
    [null, topic].includes(counterpartOf(plan, shadow, topic));
  const isWanted = ({ state, origin }: Omit<FoundLetter, "record">): boolean =>
    state.state === "open" && !isRead(origin);
  const { letters } = await readLetters(plan, ports, isWanted);
  const records: OutRecord[] = [];
  for (const letter of letters.filter(isWanted)) {
    const { key, value, headers } = await originalOf(plan, letter, ports);
    const { topic, partition, timestamp } = letter.origin;
    const counterpart = counterpartOf(plan, shadow, topic) as TopicName;
    const ageMs = Math.max(0, (letter.originMs ?? timestamp) - timestamp);
    records.push({
      ...{ topic: counterpart, partition, key, value, timestamp },
      headers: isBetween(shadow, counterpart) ? withAge(headers, ageMs) : headers,
    });
  }
  await sendOnce(ports.kafka, records);
  return records.length;
}

/** A letter whose record is gone would be missing in what the run makes. */
async function originalOf(
  plan: Plan,
  letter: FoundLetter,
  ports: ReprocessPorts,
): Promise<Pick<OutRecord, "key" | "value" | "headers">> {
  const found = await recordOf(plan, letter, ports);
  if ("record" in found) return found.record;
  throw new MillraceError("MILL_LETTER_ORIGINAL_GONE", `letter ${letter.id}: ${found.gone}`);
}
