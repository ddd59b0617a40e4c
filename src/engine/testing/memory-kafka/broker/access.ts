// The access lists of the cluster in memory: what nobody may read, groups that nobody may join, transactional ids that nobody
// may use.
import { MillraceError } from "../../../core/errors.ts";
import type { GroupId, TopicName } from "../../../core/record.ts";

export class Access {
  readonly #topics = new Set<TopicName>();
  readonly #groups = new Set<GroupId>();
  readonly #transactionalIds = new Set<string>();

  forbidTopic(topic: TopicName, isForbidden: boolean): void {
    this.#topics[isForbidden ? "add" : "delete"](topic);
  }

  forbidGroup(group: GroupId, isForbidden: boolean): void {
    this.#groups[isForbidden ? "add" : "delete"](group);
  }

  forbidTransactionalId(id: string): void {
    this.#transactionalIds.add(id);
  }

  checkTransactionalId(id: string): void {
    if (!this.#transactionalIds.has(id)) return;
    const detail = `init (${id}): TRANSACTIONAL_ID_AUTHORIZATION_FAILED (the transactional id ${id} needs the right Write; for the grants: npx millrace acls)`;
    throw new MillraceError("MILL_KAFKA_AUTH", detail);
  }

  /** Null for a topic that may be read. */
  refusalOfTopic(topic: TopicName, what: string): MillraceError | null {
    if (!this.#topics.has(topic)) return null;
    const detail = `${what}: TOPIC_AUTHORIZATION_FAILED (the topic ${topic} needs the right Read; for the grants: npx millrace acls)`;
    return new MillraceError("MILL_KAFKA_AUTH", detail, { where: { topic } });
  }

  /** Null for a group that may be joined. */
  refusalOfGroup(group: GroupId, what: string): MillraceError | null {
    if (!this.#groups.has(group)) return null;
    const detail = `${what}: GROUP_AUTHORIZATION_FAILED (the group ${group} needs the right Read; for the grants: npx millrace acls)`;
    return new MillraceError("MILL_KAFKA_AUTH", detail);
  }

  /** Throws as progress in a transaction or outside is refused. */
  checkProgress(group: GroupId, topics: readonly TopicName[]): void {
    const what = `progress of ${group}`;
    const refusal =
      this.refusalOfGroup(group, what) ??
      topics.map((topic) => this.refusalOfTopic(topic, what)).find((one) => one !== null);
    if (refusal) throw refusal;
  }
}
