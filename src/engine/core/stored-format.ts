// The version of everything that workers store and send one another: entries of changelogs and copies, progress, notes,
// letters, rows of our own tables (docs/upgrading.md lists them). Members of a group tell it when they join, so workers of
// two versions never share a group, and a start looks for others before it touches anything.
import type { EmptyingPorts } from "./empty-groups.ts";
import type { GroupDescription, GroupMember } from "./kafka.ts";
import { DependencyError, MillraceError } from "./errors.ts";
import { groupsOf } from "./pieces.ts";
import type { Plan } from "./plan.ts";

/** It grows with each release whose bytes the release before cannot read; release 0.1.0 has 1. */
export const STORED_FORMAT = 2;

export type FormatPorts = EmptyingPorts;

const ASK_MS = 200;
/** A group that rebalances says nothing of its members; the longest rebalance ends within this time. */
const WAIT_MS = 65_000;

/**
 * Throws MILL_GROUP_RELEASE while a member of one of the pipelines' groups, former ones included, stores another format.
 * Writes nothing, so it may go before everything else.
 */
export async function refuseOtherFormats(
  plans: readonly Plan[],
  ports: FormatPorts,
): Promise<void> {
  const { admin, clock, patience } = ports;
  const groups = plans.flatMap((plan) => groupsOf(plan).map((group) => ({ group, plan })));
  const beganMs = clock.monotonic();
  const endMs = beganMs + WAIT_MS;
  let isSaid = false;
  for (let silent = groups; ;) {
    const described = await Promise.all(
      silent.map(async (one) => ({ ...one, found: await admin.describeGroup(one.group) })),
    );
    const refusal = described.map(({ found, plan }) => refusalOf(found, plan)).find(isError);
    if (refusal !== undefined) {
      // A worker that was killed is a member until its session ends.
      if (clock.monotonic() - beganMs >= (patience?.waitMs ?? 0)) throw refusal;
      if (!isSaid) patience?.say(`waiting for members to leave: ${refusal.message}`);
      isSaid = true;
      await clock.sleep(ASK_MS);
      continue;
    }
    silent = described.filter(({ found }) => !found.members.every(isKnown));
    const [first] = silent;
    if (first === undefined) return;
    if (clock.monotonic() >= endMs) {
      const detail = `group ${first.group} rebalances and does not say what its members are`;
      throw new DependencyError("MILL_KAFKA_UNAVAILABLE", detail);
    }
    await clock.sleep(ASK_MS);
  }
}

/** A group that rebalances does not say yet who its members are. */
const isKnown = ({ topics }: GroupMember): boolean => topics !== null;

const isError = (error: MillraceError | null): error is MillraceError => error !== null;

function refusalOf({ group, members }: GroupDescription, { pipeline }: Plan): MillraceError | null {
  const others = members.filter(({ format }) => format !== null && format !== STORED_FORMAT);
  const [first] = others;
  if (first === undefined) return null;
  const release = first.format === 1 ? "0.1.0" : `with stored format ${String(first.format)}`;
  const more = others.length === 1 ? "" : ` and ${String(others.length - 1)} more`;
  const detail = `group ${group} has members of release ${release}: ${first.memberId} at ${first.host}${more}. Stop all of them, run npx millrace topics apply, then: npx millrace run ${pipeline}`;
  return new MillraceError("MILL_GROUP_RELEASE", detail);
}
