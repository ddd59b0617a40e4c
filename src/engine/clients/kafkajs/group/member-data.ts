// The data that members exchange in JoinGroup and SyncGroup, inside the user data of the consumer protocol: at joining
// a member's identity and the partitions that it had; with the assignment, who is present. Whoever may join the group may
// write anything there: a member that says nothing readable has had nothing.
import { assignPartitions } from "../../../core/assignment.ts";
import { DependencyError } from "../../../core/errors.ts";
import {
  anything,
  fields,
  listOf,
  parseForeign,
  text,
  whole,
  type Check,
} from "../../../core/foreign.ts";
import type { TopicName, TopicPartition } from "../../../core/record.ts";
import { STORED_FORMAT } from "../../../core/stored-format.ts";
import { loadDriver } from "../overrides/driver.ts";
import { WireReader } from "../protocol/wire.ts";

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

/** Throws MILL_KAFKA_UNAVAILABLE for what no leader writes: the next generation may have another one. */
export function decodeAssignment(buffer: Buffer): DecodedAssignment {
  if (buffer.length === 0) return { partitions: [], indexes: [], identities: [] };
  try {
    return readAssignment(new WireReader(buffer));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const detail = "the assignment by the group's leader is none of its format";
    throw new DependencyError("MILL_KAFKA_UNAVAILABLE", detail, { cause: error });
  }
}

function readAssignment(reader: WireReader): DecodedAssignment {
  reader.int16();
  const partitions = reader.topics((topic) => ({ topic, partition: reader.int32() }));
  if (partitions.some(({ partition }) => partition < 0)) throw new RangeError("no partition");
  return {
    partitions,
    indexes: [...new Set(partitions.map((at) => at.partition))],
    identities: parsed<{ members: string[] }>(reader.bytes(), leaderCheck)?.members ?? [],
  };
}

/** The facts that a member gave when it joined; null for what is not the consumer protocol. */
export function memberFacts(
  memberMetadata: Buffer,
): { readonly topics: readonly TopicName[]; readonly format: number | null } | null {
  const read = readMember(memberMetadata);
  return read === null ? null : { topics: read.topics, format: read.data?.v ?? null };
}

function decodeMember({ memberMetadata }: MemberMetadata): MemberClaims {
  const { id = "", owned = [] } = readMember(memberMetadata)?.data ?? {};
  return { identity: id, owned };
}

interface MemberClaims {
  readonly identity: string;
  readonly owned: readonly number[];
}

interface MemberFacts {
  readonly topics: TopicName[];
  /** Null for another client's: nothing that we understand. */
  readonly data: MemberData | null;
}

interface MemberData {
  readonly v: number;
  readonly id: string;
  readonly owned: readonly number[];
}

const PARTITION_MAX = 2 ** 31 - 1;
/** A later release may say more. */
const memberCheck = fields<MemberData>({
  ...{ v: whole(), id: text(300), owned: listOf(whole(PARTITION_MAX)) },
});
const leaderCheck = fields({ v: anything, members: listOf(text(300)) });

function readMember(memberMetadata: Buffer): MemberFacts | null {
  try {
    const reader = new WireReader(memberMetadata);
    reader.int16();
    const topics = reader.array(() => reader.string() ?? "");
    return { topics, data: parsed<MemberData>(reader.bytes(), memberCheck) };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function parsed<T>(userData: Buffer, check: Check): T | null {
  const result = parseForeign<T>(userData.toString("utf8"), check);
  return "why" in result ? null : result.value;
}
