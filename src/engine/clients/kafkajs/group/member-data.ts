// The data that members exchange in JoinGroup and SyncGroup, inside the user data of the consumer protocol: at joining
// a member's identity and the partitions that it had; with the assignment, who is present.
import { assignPartitions } from "../../../core/assignment.ts";
import type { TopicName, TopicPartition } from "../../../core/record.ts";
import { STORED_FORMAT } from "../../../core/stored-format.ts";
import { loadDriver } from "../overrides/driver.ts";

/**
 * The name under which members agree. The broker refuses who comes with another one: other clients, and workers that store
 * another format, for as long as the group has a member.
 */
export const protocolName: string = `millrace-${String(STORED_FORMAT)}`;
/** The version of the consumer protocol. */
const version = 1;

export interface MemberMetadata {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

export interface DecodedAssignment {
  readonly partitions: readonly TopicPartition[];
  readonly indexes: readonly number[];
  readonly identities: readonly string[];
}

export function encodeMember(
  topics: readonly string[],
  identity: string,
  owned: readonly number[],
  asked = 0,
): Buffer {
  // A coordinator forms a new generation only for a member whose data has changed, or for the leader.
  const again = asked === 0 ? {} : { asked };
  const userData = Buffer.from(JSON.stringify({ v: STORED_FORMAT, id: identity, owned, ...again }));
  return loadDriver().MemberMetadata.encode({ version, topics, userData });
}

/** The leader's answer to SyncGroup: one encoded assignment a member. */
export function encodeAssignments(
  members: readonly MemberMetadata[],
  partitionsOf: ReadonlyMap<string, number>,
): { memberId: string; memberAssignment: Buffer }[] {
  const { MemberAssignment } = loadDriver();
  const decoded = members.map((member) => ({ memberId: member.memberId, ...decodeMember(member) }));
  const indexCount = Math.max(0, ...partitionsOf.values());
  const claims = decoded.map(({ memberId, identity, owned }) => ({
    id: memberId,
    identity,
    owned,
  }));
  const assigned = assignPartitions(claims, indexCount);
  const userData = Buffer.from(
    JSON.stringify({ v: STORED_FORMAT, members: decoded.map((member) => member.identity) }),
  );
  return decoded.map(({ memberId }) => {
    const indexes = assigned.get(memberId) ?? [];
    const assignment: Record<string, number[]> = {};
    for (const [topic, count] of partitionsOf)
      assignment[topic] = indexes.filter((index) => index < count);
    return {
      memberId,
      memberAssignment: MemberAssignment.encode({ version, assignment, userData }),
    };
  });
}

export function decodeAssignment(buffer: Buffer): DecodedAssignment {
  const decoded = loadDriver().MemberAssignment.decode(buffer);
  if (decoded === null) return { partitions: [], indexes: [], identities: [] };
  const partitions = Object.entries(decoded.assignment).flatMap(([topic, indexes]) =>
    indexes.map((partition) => ({ topic, partition })),
  );
  const data = parse(decoded.userData);
  return {
    partitions,
    indexes: [...new Set(partitions.map((at) => at.partition))],
    identities: Array.isArray(data["members"]) ? data["members"].map(String) : [],
  };
}

/** The facts that a member gave when it joined; null for what is not the consumer protocol. */
export function memberFacts(
  memberMetadata: Buffer,
): { readonly topics: readonly TopicName[]; readonly format: number | null } | null {
  try {
    const { topics, userData } = loadDriver().MemberMetadata.decode(memberMetadata);
    const { v, id } = parse(userData);
    return { topics, format: typeof id === "string" && typeof v === "number" ? v : null };
  } catch {
    return null;
  }
}

function decodeMember(member: MemberMetadata): { identity: string; owned: readonly number[] } {
  const data = parse(loadDriver().MemberMetadata.decode(member.memberMetadata).userData);
  return {
    identity: typeof data["id"] === "string" ? data["id"] : "",
    owned: Array.isArray(data["owned"]) ? data["owned"].map(Number) : [],
  };
}

function parse(userData: Buffer | null): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse((userData ?? Buffer.from("{}")).toString("utf8")) as Record<string, unknown>;
  } catch {
    // Another client's user data: nothing that we understand.
    return {};
  }
}
