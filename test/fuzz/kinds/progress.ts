// What lies beside progress: ledgers and times in the metadata of a group's offsets; and the times that parts tell each other, which
// go into it.
import {
  ChannelTimes,
  END_OF_TIME,
  NO_TIME,
  SourceTime,
  type StoredTime,
} from "../../../src/engine/core/event-time.ts";
import {
  addLedger,
  emptyLedger,
  imbalanceOf,
  ledgerTotals,
  type LedgerCounts,
} from "../../../src/engine/core/ledger.ts";
import type { Headers } from "../../../src/engine/core/record.ts";
import {
  decodeMetadata,
  encodeMetadata,
  TaskInputs,
  wrongMetadata,
} from "../../../src/engine/core/task-inputs.ts";
import {
  markerHeaders,
  marksIn,
  takenAge,
  withAge,
} from "../../../src/engine/core/time-headers.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBePlain, type AnyKind, type Verdict } from "../kind.ts";
import { mutated } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";
import { headersChanged } from "./log.ts";

export const ledger: LedgerCounts = {
  ...{ ...emptyLedger(), consumed: 10, emitted: 6 },
  ...{ filtered: { small: 3 }, "dead-lettered": { rule: 1 } },
};
const times: readonly StoredTime[] = [
  {},
  { time: 1_767_225_600_000, asserted: 1_767_225_660_000 },
  { asserted: END_OF_TIME },
  { channels: [1_767_225_600_000, NO_TIME, END_OF_TIME, -5_000] },
];
const metadata = times.flatMap((time) => [
  encodeMetadata({ owner: "millrace-w1", ledger, time }),
  encodeMetadata({ owner: "millrace-w2", ledger, time, loadTo: 9n }),
]);

/** The sums that are made of a ledger, and what goes on from it. */
export function checkLedger(stored: LedgerCounts): void {
  const sum = addLedger(emptyLedger(), stored);
  const counts = [imbalanceOf(sum), ...Object.values(ledgerTotals(sum))];
  must(counts.every(Number.isSafeInteger), "a ledger has counts that are no numbers");
  mustBePlain(sum);
}

export const AT = { topic: "in", partition: 0 };
type Start = ConstructorParameters<typeof TaskInputs>[1][0];

/** What a task commits from there is read again by its next owner. */
function mustGoOn(start: Start, time: SourceTime | ChannelTimes): void {
  const inputs = new TaskInputs(0, [start], () => time);
  inputs.advance(AT.topic, 6n, 7, []);
  for (const { metadata: text } of inputs.take("me")) {
    must(Buffer.byteLength(text) <= 4_096, "metadata that no broker takes");
    must(
      decodeMetadata(text) !== null,
      `metadata that nobody reads: ${String(wrongMetadata(text))}`,
    );
  }
}

export const metadataKind: AnyKind = kindOf({
  ...{ name: "metadata", codes: /^MILL_PROGRESS_INVALID$/, weight: 2 },
  make: (draw: Draw) => jsonBytes(draw, JSON.parse(draw.of(metadata))).toString(),
  read(text: string): Verdict {
    const found = decodeMetadata(text);
    if (found === null) return "refused";
    checkLedger(found.ledger);
    const { time = {}, loadTo = null } = found;
    const start = { ...AT, nextOffset: 5n, time, loadTo, ledger: found.ledger };
    mustGoOn(start, time.channels === undefined ? new SourceTime(time) : new ChannelTimes(4, time));
    return "taken";
  },
});

const marks = [
  { channel: 0, watermark: 1_767_225_600_000 },
  { channel: 2, watermark: END_OF_TIME },
  { channel: 1, watermark: -5_000 },
];
const timed: readonly Headers[] = [
  ...[withAge([], 5), withAge([["t", null]], 0), withAge([["trace", null]], 2 ** 40)],
  ...[markerHeaders(marks), markerHeaders([])],
];

function timesChanged(draw: Draw): Headers {
  const headers = draw.of(timed);
  if (draw.chance(0.2)) return headersChanged(draw, headers);
  const [name, value] = headers.at(-1) as Headers[0];
  return [...headers.slice(0, -1), [name, mutated(draw, value ?? Buffer.alloc(0))]];
}

/** Ages and markers in records between parts. */
export const timeKind: AnyKind = kindOf({
  ...{ name: "times", codes: /^MILL_NONE$/, weight: 1 },
  make: timesChanged,
  read(headers: Headers): Verdict {
    const { ageMs } = takenAge(headers);
    must(Number.isSafeInteger(ageMs) && ageMs >= 0, "an age is none");
    const found = marksIn({ key: null, value: null, headers });
    const channels = new ChannelTimes(4);
    for (const mark of found ?? []) channels.mark(mark);
    mustGoOn({ ...AT, nextOffset: 5n, time: {}, ledger }, channels);
    return ageMs > 0 || (found ?? []).length > 0 ? "taken" : "refused";
  },
});
