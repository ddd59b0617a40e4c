// Records of the redrive topic: each is an order of ours, and proven by a state that a redrive wrote, or goes nowhere.
import type { OutRecord, RawRecord } from "../../../src/engine/core/record.ts";
import { redriveHeaders, redriveOrderOf, stateRecord } from "../../../src/engine/core/redrive.ts";
import { isSuperseded } from "../../../src/engine/letters/redriven.ts";
import {
  ProvenRedrives,
  RedriveProofs,
  sealOf,
} from "../../../src/engine/letters/redrives/proofs.ts";
import { lineageOf } from "../../../src/engine/notes/generations.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, mustBeSame, type AnyKind, type Verdict } from "../kind.ts";
import { mutatedOrNull } from "../mutate/bytes.ts";
import { headersChanged, logOf, noteChanged, portsOf, type Logs } from "./log.ts";
import { plan } from "./notes.ts";

type Pair = readonly [record: OutRecord, state: OutRecord];

function sent(n: number): Pair {
  const order = {
    ...{ id: String(n).padStart(32, "0"), part: "main", redrives: n + 1, redrivesMax: 3, job: "j" },
    firstTime: n === 0 ? null : "2026-01-01T00:00:00.000Z",
    origin: { topic: "in", partition: 1, offset: BigInt(n), timestamp: n === 2 ? -1 : 1_000 },
    ...(n === 1 ? { generation: 1, readIn: "flow-r2-in" } : {}),
  };
  const record: OutRecord = {
    ...{ topic: plan.redrive, partition: 0, key: Buffer.from("k"), value: Buffer.from("{}") },
    ...{ headers: [["trace", null], ...redriveHeaders(order)], timestamp: 5 },
  };
  const state = {
    state: "redriven",
    redrives: n + 1,
    atMs: 5,
    job: "j",
    seal: sealOf(record),
  } as const;
  return [
    record,
    stateRecord(plan.letterStates, { id: order.id, generation: n === 1 ? 1 : 0 }, state),
  ];
}
const good: readonly Pair[] = [sent(0), sent(1), sent(2)];
const lineage = lineageOf(plan, new Map());

function make(draw: Draw): Logs {
  const records: OutRecord[] = [];
  const states: OutRecord[] = [];
  for (const [record, state] of draw.list(1, 5, () => draw.of(good))) {
    const headers = draw.chance(0.7) ? headersChanged(draw, record.headers) : record.headers;
    const value = draw.chance(0.1) ? mutatedOrNull(draw, record.value) : record.value;
    records.push({ ...record, headers, value });
    states.push(draw.chance(0.4) ? { ...state, ...noteChanged(draw, state) } : state);
  }
  return new Map([
    [plan.redrive, logOf(plan.redrive, records)],
    [plan.letterStates, logOf(plan.letterStates, states)],
  ]);
}

async function read(logs: Logs): Promise<Verdict> {
  const records = logs.get(plan.redrive) ?? [];
  const proven = new ProvenRedrives(new RedriveProofs(portsOf(logs), plan.letterStates));
  const { signal } = new AbortController();
  const taken = await proven.of(records, signal);
  must((await proven.of(records, signal)).size === 0, "a redrive is taken twice");
  for (const record of taken) accepted(record);
  return taken.size > 0 ? "taken" : "refused";
}

function accepted(record: RawRecord): void {
  const order = redriveOrderOf(record.headers);
  must(order !== null, "a redrive without an order is taken");
  mustBeSame(
    redriveOrderOf(redriveHeaders(order)),
    order,
    "an order is another when it is written",
  );
  isSuperseded(order, "main", lineage);
}

export const redriveKind: AnyKind = kindOf({
  ...{ name: "redrives", codes: /^MILL_NOTE_INVALID$/, weight: 2 },
  ...{ make, read },
});
