// The group coordinator in memory: eager rebalances with generations, as a classic Kafka group has them.
// Sessions need no heartbeats here: a member's session runs out while its worker is frozen or crashed.
import { FencedError, MillraceError } from "../../../core/errors.ts";
import type { ConsumerOptions, GroupDescription, GroupGeneration } from "../../../core/kafka.ts";
import type { GroupId } from "../../../core/record.ts";
import { assignPartitions } from "../../../core/assignment.ts";
import type { WorkerSwitch } from "../../doubles/worker-switch.ts";
import type { Topics } from "./topics.ts";
import { CANCELLED, type Conditions } from "./conditions.ts";

interface JoinRequest {
  readonly options: ConsumerOptions;
  /** Partition indexes that it had before. */
  readonly owned: readonly number[];
  readonly worker: WorkerSwitch;
  /** The version of the bytes that the member stores: members of one group have the same. */
  readonly format: number;
}

export interface JoinedGroup {
  readonly generation: GroupGeneration;
  readonly indexes: readonly number[];
  readonly members: readonly string[];
}

interface Member {
  readonly id: string;
  request: JoinRequest;
  /** Answers its join, with null when it is no member any more; null itself when it has not joined again yet. */
  answer: ((joined: JoinedGroup | null) => void) | null;
  readonly unwatch: () => void;
  session: AbortController;
}

/** stable → (join, leave, expiry) → preparing → (all joined, or the rebalance timed out) → stable, one generation on. */
interface Group {
  readonly id: GroupId;
  state: "stable" | "preparing";
  generationId: number;
  readonly members: Map<string, Member>;
  rebalance: AbortController;
}

export class Groups {
  readonly #topics: Topics;
  readonly #conditions: Conditions;
  readonly #groups = new Map<GroupId, Group>();
  #memberCount = 0;

  constructor(topics: Topics, conditions: Conditions) {
    this.#topics = topics;
    this.#conditions = conditions;
  }

  names(): readonly GroupId[] {
    return [...this.#groups.keys()];
  }

  describe(id: GroupId): GroupDescription {
    const group = this.#groups.get(id);
    if (group === undefined) return { group: id, state: "Dead", members: [] };
    const isStable = group.state === "stable";
    const members = [...group.members.values()].map((member) => {
      const { topics, beside = [] } = member.request.options;
      const read = isStable ? [...topics, ...beside] : null;
      const format = isStable ? member.request.format : null;
      return { memberId: member.id, host: "memory", topics: read, format };
    });
    const busy = isStable ? "Stable" : "PreparingRebalance";
    return { group: id, state: members.length === 0 ? "Empty" : busy, members };
  }

  /** Null where every member stores this format; as the broker refuses members that do not agree on a protocol. */
  refusalOfFormat(id: GroupId, format: number, what: string): MillraceError | null {
    const members = [...(this.#groups.get(id)?.members.values() ?? [])];
    if (members.every(({ request }) => request.format === format)) return null;
    return new MillraceError("MILL_GROUP_RELEASE", `${what}: INCONSISTENT_GROUP_PROTOCOL`);
  }

  /** `joined` resolves when the generation begins, or with null when the membership is lost. A null id asks for a new one. */
  join(
    request: JoinRequest,
    memberId: string | null,
  ): { readonly memberId: string; readonly joined: Promise<JoinedGroup | null> } {
    const group = this.#group(request.options.group);
    const member = memberId === null ? this.#enter(group, request) : group.members.get(memberId);
    if (member === undefined) return { memberId: memberId ?? "", joined: Promise.resolve(null) };
    member.request = request;
    const joined = new Promise<JoinedGroup | null>((resolve) => (member.answer = resolve));
    this.#prepare(group);
    this.#completeIfAllJoined(group);
    return { memberId: member.id, joined };
  }

  leave(id: GroupId, memberId: string): void {
    const group = this.#group(id);
    if (this.#remove(group, memberId)) this.#prepare(group);
    this.#completeIfAllJoined(group);
    this.#conditions.changes.raise();
  }

  /** Forces every member to join again. */
  rebalance(id: GroupId): void {
    this.#prepare(this.#group(id));
  }

  /** Whether a member of this generation must join again: as a heartbeat would say. */
  isOver(generation: GroupGeneration): boolean {
    const group = this.#groups.get(generation.group);
    const isCurrent = group?.generationId === generation.generationId;
    return !isCurrent || group.state !== "stable" || !group.members.has(generation.memberId);
  }

  /** As `admit`, in a transaction: who gives neither member nor generation is not checked, as before KIP-447. */
  admitInTransaction(generation: GroupGeneration): void {
    if (generation.generationId >= 0 || generation.memberId !== "") this.admit(generation);
  }

  /** Throws unless the member belongs to the group's generation; until the next one begins, the old one may commit. */
  admit(generation: GroupGeneration): void {
    const group = this.#groups.get(generation.group);
    const isMember = group?.members.has(generation.memberId) === true;
    if (isMember && group.generationId === generation.generationId) return;
    const now = group === undefined ? "no generation" : `generation ${String(group.generationId)}`;
    throw new FencedError(
      "MILL_KAFKA_FENCED",
      `progress of generation ${String(generation.generationId)} in group ${generation.group}, which has ${now}`,
    );
  }

  #group(id: GroupId): Group {
    const found = this.#groups.get(id);
    if (found !== undefined) return found;
    const made: Group = {
      id,
      state: "stable",
      generationId: 0,
      members: new Map(),
      rebalance: new AbortController(),
    };
    this.#groups.set(id, made);
    return made;
  }

  #enter(group: Group, request: JoinRequest): Member {
    const id = `member-${String(++this.#memberCount)}`;
    const unwatch = request.worker.watch((state) => {
      member.session.abort(CANCELLED);
      if (state !== "running") this.#countDown(group, member);
    });
    const member: Member = { id, request, answer: null, unwatch, session: new AbortController() };
    group.members.set(id, member);
    return member;
  }

  #countDown(group: Group, member: Member): void {
    member.session = new AbortController();
    const { sessionTimeoutMs } = member.request.options;
    const expire = async (): Promise<void> => {
      if (!(await this.#conditions.elapsed(sessionTimeoutMs, member.session.signal))) return;
      this.leave(group.id, member.id);
    };
    void expire(); // Never rejects; ends with the session.
  }

  /** Whether anything is left to rebalance. */
  #remove(group: Group, memberId: string): boolean {
    const member = group.members.get(memberId);
    if (member === undefined) return false;
    group.members.delete(memberId);
    member.unwatch();
    member.session.abort(CANCELLED);
    member.answer?.(null);
    if (group.members.size > 0) return true;
    group.rebalance.abort(CANCELLED);
    group.state = "stable";
    group.generationId++;
    return false;
  }

  #prepare(group: Group): void {
    if (group.state === "preparing" || group.members.size === 0) return;
    group.state = "preparing";
    group.rebalance = new AbortController();
    const waits = [...group.members.values()].map((m) => m.request.options.rebalanceTimeoutMs);
    const dropLate = async (): Promise<void> => {
      if (!(await this.#conditions.elapsed(Math.max(...waits), group.rebalance.signal))) return;
      for (const member of [...group.members.values()])
        if (member.answer === null) this.#remove(group, member.id);
      this.#completeIfAllJoined(group);
    };
    void dropLate(); // Never rejects; ends with the rebalance.
    this.#conditions.changes.raise();
  }

  #completeIfAllJoined(group: Group): void {
    const members = [...group.members.values()];
    if (group.state !== "preparing" || members.some((member) => member.answer === null)) return;
    group.state = "stable";
    group.generationId++;
    group.rebalance.abort(CANCELLED);
    const shares = this.#shares(members);
    const identities = members.map((member) => member.request.options.identity);
    for (const member of members) {
      const { id, generationId } = group;
      const generation = { group: id, generationId, memberId: member.id };
      member.answer?.({ generation, indexes: shares.get(member.id) ?? [], members: identities });
      member.answer = null;
    }
    this.#conditions.changes.raise();
  }

  #shares(members: readonly Member[]): Map<string, number[]> {
    const topics = new Set(members.flatMap((member) => member.request.options.topics));
    const counts = [...topics].map((topic) => this.#topics.describe(topic)?.partitions ?? 0);
    const claims = members.map(({ id, request }) => ({
      id,
      identity: request.options.identity,
      owned: request.owned,
    }));
    return assignPartitions(claims, Math.max(0, ...counts));
  }
}
