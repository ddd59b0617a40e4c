// Sends a few records with a producer of their own, for whoever does not keep one.
import type { KafkaPort } from "./kafka.ts";
import type { OutRecord } from "./record.ts";

export async function sendOnce(
  kafka: Pick<KafkaPort, "producer">,
  records: readonly OutRecord[],
): Promise<void> {
  if (records.length === 0) return;
  const producer = kafka.producer();
  await producer.send(records).finally(() => producer.close());
}
