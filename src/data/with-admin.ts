// An admin client for one piece of work.
import type { AdminPort, KafkaPort } from "../engine/core/kafka.ts";

/** Runs the work with an admin client of its own and closes it, also after an error. */
export async function withAdmin<T>(
  kafka: Pick<KafkaPort, "admin">,
  work: (admin: AdminPort) => Promise<T>,
): Promise<T> {
  const admin = kafka.admin();
  return work(admin).finally(() => admin.close());
}
