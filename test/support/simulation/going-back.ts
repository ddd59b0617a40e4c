// Letters of records that cannot be read go back, and fail once more: each is the same letter again, once, with what is
// known of it, whatever brokers refuse of the new one.
import { createHash } from "node:crypto";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import type { FoundLetter } from "../../../src/engine/letters/found-letter.ts";
import type { Failure } from "./checks.ts";
import { tablesOf } from "./refusals.ts";
import type { World } from "./world.ts";

const ONE_IN = 3;

/** Behind all else, and not after a failover of Postgres: what a table's task owes then comes only with its next owner. */
export const areLettersGoingBack = ({ policy, postgres, case: of }: World): boolean =>
  policy !== null && of.seed % ONE_IN === 0 && postgres.failovers === 0;

const isUnreadable = ({ stage, code }: Pick<FoundLetter, "stage" | "code">): boolean =>
  stage === "decode" && code !== "MILL_REDRIVE_UNPROVEN";

/** The first thing that is wrong, or null. */
export async function lettersThatGoBack(
  world: World,
  restLimitMs: number,
): Promise<Failure | null> {
  const { sent, refused } = await world.redrive(isUnreadable);
  const [not] = refused;
  if (not !== undefined) return failed(`letter ${not.letter.id} cannot go back: ${not.why}`);
  world.refusals.set("letter sent back", sent.length);
  await world.drained(restLimitMs);
  // Nothing of that is about the redrive topic, whose records a task may still wait with.
  const isUnderWay = (): boolean =>
    sent.some(({ id }) => noteOf(world, id)["state"] === "redriven");
  for (let spentMs = 0; isUnderWay() && spentMs < restLimitMs; spentMs += 250)
    await world.clock.advance(250);
  await world.drained(restLimitMs);
  const letters = world.kafka.records(world.plan.deadLetters, { committed: true });
  const again = letters.filter(({ headers }) => headerText(headers, "dlq.redrives") !== "0");
  const tables = tablesOf(world.case.flow);
  const byId = Map.groupBy(again, ({ headers }) => headerText(headers, "dlq.id") ?? "");
  for (const letter of sent) {
    const own = byId.get(letter.id) ?? [];
    byId.delete(letter.id);
    const why = ofLetter(world, letter, own) ?? countOf(own, tables.has(letter.part));
    if (why !== null) return failed(`letter ${letter.id} of ${letter.part}: ${why}`);
  }
  return byId.size === 0 ? null : failed(`${String(byId.size)} letters that were not sent back`);
}

const failed = (reason: string): Failure => ({ check: "letters", reason });

const countOf = ({ length }: readonly unknown[], isTable: boolean): string | null =>
  length === 1 || (isTable && length > 1) ? null : `${String(length)} times after it was sent back`;

function ofLetter(
  world: World,
  { id, record, pointer }: FoundLetter,
  own: readonly RawRecord[],
): string | null {
  const hash = pointer?.valueSha256 ?? hashOf(record?.value ?? null);
  if (own.some((letter) => hashIn(letter) !== hash)) return "it is of another record";
  const { state, redrives } = noteOf(world, id);
  return state === "open" && redrives === 1 ? null : `it is ${String(state)}, ${String(redrives)}`;
}

function noteOf(world: World, id: string): Record<string, unknown> {
  const note = world.kafka
    .records(world.plan.letterStates, { committed: true })
    .findLast(({ key }) => String(key) === `letter/${id}`);
  return JSON.parse(String(note?.value ?? "{}")) as Record<string, unknown>;
}

const hashOf = (value: Buffer | null): string =>
  createHash("sha256")
    .update(value ?? "")
    .digest("hex");

/** Of its value, or what a small letter tells of that. */
const hashIn = ({ headers, value }: RawRecord): string =>
  headerText(headers, "dlq.value-sha256") ?? hashOf(value);
