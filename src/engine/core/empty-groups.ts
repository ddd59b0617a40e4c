// Waits until consumer groups have no member. Progress is changed only while nobody moves it, and a worker that was killed,
// or that cannot say that it leaves, stays a member until its session ends.
import { FencedError, MillraceError } from "./errors.ts";
import type { AdminPort, GroupDescription, Progress } from "./kafka.ts";
import type { Clock } from "./ports.ts";
import type { GroupId } from "./record.ts";

/** How long a command waits for members to go, and who reads which ones they are. */
export interface GroupPatience {
  readonly waitMs: number;
  /** Members that leave within this time are not named; none when left out. */
  readonly quietMs?: number;
  say(line: string): void;
}

export interface EmptyingPorts {
  readonly admin: Pick<AdminPort, "describeGroup">;
  readonly clock: Pick<Clock, "monotonic" | "sleep">;
  /** Left out: groups with members are refused at once. */
  readonly patience?: GroupPatience;
}

const AT_ONCE: GroupPatience = { waitMs: 0, say: () => undefined };
const LOOK_MS = 250;
const NAMED_MAX = 5;

/** Throws what `refusal` makes of the members' text when they are still there at the end; else MILL_OFFSETS_ACTIVE. */
export async function untilEmpty(
  groups: readonly GroupId[],
  { admin, clock, patience }: EmptyingPorts,
  refusal = (text: string): MillraceError => new MillraceError("MILL_OFFSETS_ACTIVE", text),
): Promise<void> {
  const { waitMs, quietMs = 0, say } = patience ?? AT_ONCE;
  const endMs = clock.monotonic() + waitMs;
  let said = "";
  for (;;) {
    const active = await activeGroups(groups, admin);
    if (active.length === 0) return;
    const text = membersText(active);
    const leftMs = endMs - clock.monotonic();
    if (leftMs <= 0) throw refusal(text);
    if (text !== said && waitMs - leftMs >= quietMs) {
      say(`waiting up to ${seconds(leftMs)} s for members to leave: ${text}`);
      said = text;
    }
    await clock.sleep(Math.min(LOOK_MS, leftMs));
  }
}

const seconds = (ms: number): string => String(Math.ceil(ms / 1_000));

/** The groups that have members. */
export async function activeGroups(
  groups: readonly GroupId[],
  admin: Pick<AdminPort, "describeGroup">,
): Promise<readonly GroupDescription[]> {
  const found = await Promise.all([...new Set(groups)].map((group) => admin.describeGroup(group)));
  return found.filter(({ members }) => members.length > 0);
}

/** Each group with its members, for people. */
export const membersText = (active: readonly GroupDescription[]): string =>
  active
    .map(({ group, members }) => {
      const named = members
        .slice(0, NAMED_MAX)
        .map(({ memberId, host }) => `${memberId} at ${host}`);
      const more =
        members.length > named.length ? [`${String(members.length - named.length)} more`] : [];
      return `group ${group} has ${[...named, ...more].join(", ")}`;
    })
    .join("; ");

/**
 * Sets progress. A worker that starts meanwhile may be a member for a moment, until it sees that it may not read: the caller
 * has noted that.
 */
export async function commitWhenEmpty(
  group: GroupId,
  progress: readonly Progress[],
  ports: EmptyingPorts & { readonly admin: Pick<AdminPort, "commitOffsets"> },
): Promise<void> {
  const { waitMs } = ports.patience ?? AT_ONCE;
  const endMs = ports.clock.monotonic() + waitMs;
  for (;;)
    try {
      return await ports.admin.commitOffsets(group, progress);
    } catch (error) {
      if (!(error instanceof FencedError) || ports.clock.monotonic() >= endMs) throw error;
      await untilEmpty([group], ports);
    }
}
