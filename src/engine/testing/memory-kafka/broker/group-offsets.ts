// Committed offsets of all groups, and those that are pending in an open transaction until it ends (KIP-98, KIP-447).
import type { CommittedOffset, Progress } from "../../../core/kafka.ts";
import {
  addressOf,
  type GroupId,
  type TopicName,
  type TopicPartition,
} from "../../../core/record.ts";
import type { Transaction } from "./partition-log.ts";

export class GroupOffsets {
  readonly #committed = new Map<GroupId, Map<string, Progress>>();
  readonly #pending = new Map<Transaction, { group: GroupId; progress: Progress }[]>();

  groups(): readonly GroupId[] {
    return [...this.#committed.keys()];
  }

  commit(group: GroupId, progress: readonly Progress[]): void {
    const offsets = this.#committed.get(group) ?? new Map<string, Progress>();
    this.#committed.set(group, offsets);
    for (const one of progress) offsets.set(addressOf(one), { ...one });
  }

  /** Pending until `end`. */
  add(transaction: Transaction, group: GroupId, progress: readonly Progress[]): void {
    const pending = this.#pending.get(transaction) ?? [];
    this.#pending.set(transaction, pending);
    for (const one of progress) pending.push({ group, progress: { ...one } });
  }

  /** The transaction's offsets count if it was committed, else never was. */
  end(transaction: Transaction): void {
    const pending = this.#pending.get(transaction) ?? [];
    this.#pending.delete(transaction);
    if (transaction.status !== "committed") return;
    for (const { group, progress } of pending) this.commit(group, [progress]);
  }

  isStable(group: GroupId, partitions: readonly TopicPartition[]): boolean {
    const asked = new Set(partitions.map(addressOf));
    for (const pending of this.#pending.values())
      if (pending.some((one) => one.group === group && asked.has(addressOf(one.progress))))
        return false;
    return true;
  }

  fetch(group: GroupId, partitions: readonly TopicPartition[]): readonly CommittedOffset[] {
    return partitions.map(({ topic, partition }) => {
      const found = this.#committed.get(group)?.get(addressOf({ topic, partition }));
      const isThere = found !== undefined && found.nextOffset >= 0n;
      const { nextOffset, metadata } = isThere ? found : { nextOffset: null, metadata: "" };
      return { topic, partition, nextOffset, metadata };
    });
  }

  /** As when a group's offsets expire or are deleted. */
  forget(group: GroupId): void {
    this.#committed.delete(group);
  }

  forgetTopic(topic: TopicName): void {
    for (const offsets of this.#committed.values())
      for (const [address, one] of offsets) if (one.topic === topic) offsets.delete(address);
  }
}
