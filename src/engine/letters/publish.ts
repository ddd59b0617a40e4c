// Sends the letters of an outbox. A letter that its topic refuses goes as pointer and hash, so that it delays no other;
// one that is refused even so stays in the outbox, and the sender learns why.
import { MillraceError, RecordsRefusedError, refusalText } from "../core/errors.ts";
import type { PlainProducer } from "../core/kafka.ts";
import type { PendingLetter } from "../core/ports.ts";
import { reduced } from "./letter-size.ts";

export interface Published {
  /** Ids of the letters that their topic has. */
  readonly ids: readonly string[];
  /** The reason why some are in the outbox still. */
  readonly stuck: MillraceError | null;
}

export async function publishLetters(
  producer: PlainProducer,
  letters: readonly PendingLetter[],
): Promise<Published> {
  const refused = await refusedOf(producer, letters);
  // mistake: pending letter whole
  const small = await refusedOf(producer, refused.letters.map(reduced));
  const left = new Set(small.letters.map(({ id }) => id));
  // mistake: small letter dropped
  return { ids: letters.map(({ id }) => id).filter((id) => !left.has(id)), stuck: small.why };
}

interface RefusedLetters {
  readonly letters: readonly PendingLetter[];
  readonly why: MillraceError | null;
}

async function refusedOf(
  producer: PlainProducer,
  letters: readonly PendingLetter[],
): Promise<RefusedLetters> {
  if (letters.length === 0) return { letters: [], why: null };
  try {
    await producer.send(letters);
    return { letters: [], why: null };
  } catch (error) {
    if (error instanceof RecordsRefusedError) {
      const [first, ...others] = error.refused;
      const why = first === undefined ? error : stuckFor(refusalText([first, ...others]), error);
      return { letters: error.refused.map(({ index }) => letters[index] as PendingLetter), why };
    }
    throw forTopic(error);
  }
}

/** A topic that takes nothing may take it later: nothing is wrong with the letters. */
function forTopic(error: unknown): unknown {
  if (!(error instanceof MillraceError) || error.disposition !== "halt") return error;
  const { topic } = error.where;
  if (topic === undefined) return error;
  const isMissing = error.code === "MILL_TOPIC_MISSING";
  return stuckFor(
    isMissing ? `the topic ${topic} is missing: run npx millrace topics apply` : error.message,
    error,
  );
}

const stuckFor = (why: string, cause: MillraceError): MillraceError =>
  new MillraceError("MILL_KAFKA_REFUSED", why, {
    cause,
    where: cause.where,
    disposition: "pause",
  });
