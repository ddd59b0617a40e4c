// What travels with committed progress: the owner's transactional id and the cumulative ledger (at most 4,096 bytes,
// Kafka's default offset.metadata.max.bytes).
import { ledgerFrom, ledgerTotals, type LedgerCounts } from "./ledger.ts";

export interface ProgressMetadata {
  /** The transactional id under which this progress was committed: a successor ends its open transaction. */
  readonly owner: string;
  readonly ledger: LedgerCounts;
  /** The greatest timestamp that the task had seen, epoch ms; in parts with state, once there was one. */
  readonly streamTimeMs?: number | null;
}

const METADATA_BYTES_MAX = 4096;

export function encodeMetadata({ owner, ledger, streamTimeMs }: ProgressMetadata): string {
  const time = streamTimeMs ?? undefined;
  const text = JSON.stringify({ v: 1, owner, time, ledger });
  if (Buffer.byteLength(text) <= METADATA_BYTES_MAX) return text;
  // Too many operator names: keep the sums, which are what must balance.
  const { filtered = 0 } = ledgerTotals(ledger);
  const summed: LedgerCounts = { ...ledger, filtered: { "*": filtered } };
  return JSON.stringify({ v: 1, owner, time, ledger: summed });
}

/** Null for metadata that is not ours (an offset that somebody set by hand). */
export function decodeMetadata(text: string): ProgressMetadata | null {
  if (!text.startsWith("{")) return null;
  try {
    const parsed = JSON.parse(text) as {
      v?: unknown;
      owner?: unknown;
      time?: unknown;
      ledger?: object;
    };
    if (parsed.v !== 1 || typeof parsed.owner !== "string") return null;
    const { owner, time } = parsed;
    const seen = typeof time === "number" ? { streamTimeMs: time } : {};
    return { owner, ...seen, ledger: ledgerFrom(parsed.ledger ?? {}) };
  } catch {
    // Not JSON: written by another tool, so it carries no ledger of ours.
    return null;
  }
}
