// The most bytes that the progress of a task may take in one of its inputs, whatever it comes to: each number with all its digits,
// each channel as far behind as can be said. A part whose progress might not fit into a commit is not built. Pure.
import type { LetterClass } from "./errors.ts";
import type { StoredTime } from "./event-time.ts";
import type { LedgerCounts } from "./ledger.ts";
import { encodeMetadata, METADATA_BYTES_MAX } from "./task-inputs.ts";

/** A prefix of at most 60 characters, a dash and 12 of a token (`MILLRACE_WORKER_PREFIX`, runtime/worker.ts). */
export const OWNER_BEHIND_NAMESPACE: number = 60 + 1 + 12;

/** As many digits as a count may have. */
const COUNT = Number.MAX_SAFE_INTEGER;
const LAST_OFFSET = 2n ** 63n - 1n;

const classes: Readonly<Record<LetterClass, number>> = {
  ...{ decode: COUNT, schema: COUNT, rule: COUNT, transform: COUNT },
  ...{ sink: COUNT, size: COUNT, result: COUNT, full: COUNT },
};
/** The reasons to be late (`Lateness`). */
const reasons = { own: COUNT, closed: COUNT, evicted: COUNT };

/** Every word that there is; operators are one sum where there is no room for their names. */
function longestLedger(): Required<LedgerCounts> {
  const of = { "*": COUNT };
  return {
    ...{ consumed: COUNT, emitted: COUNT, superseded: COUNT, deduplicated: COUNT },
    ...{ "null-key": COUNT, tombstone: COUNT, "dead-lettered": { ...classes } },
    ...{ late: { ...reasons }, "late-results": { ...reasons } },
    ...{ filtered: of, "dead-results": of, behind: of, evicted: of },
  };
}

/** The last millisecond that a Date knows. */
const LATEST_MS = 8_640_000_000_000_000;
/** The greatest distance of two channels that the bytes can say. */
const FARTHEST_MS = Number.MAX_SAFE_INTEGER - 2;

function longestTime(channels: number | undefined): StoredTime {
  if (channels === undefined) return { time: -LATEST_MS, asserted: -LATEST_MS, left: "queued" };
  const behind = LATEST_MS - FARTHEST_MS;
  const all = Array.from({ length: channels }, (_, i) => (i === 0 ? LATEST_MS : behind));
  return { channels: all, left: "queued" };
}

/** The tasks that write it, where its readers keep their watermarks; and whether it is loaded first. */
export interface MeasuredInput {
  readonly channels?: number;
  readonly loadFirst?: boolean;
}

/** The bytes of the longest metadata beside an offset of this input, under the longest owner of the namespace. */
export function metadataBytesMax(
  namespace: string,
  { channels, loadFirst = false }: MeasuredInput,
): number {
  const owner = `${namespace}${"w".repeat(OWNER_BEHIND_NAMESPACE)}`;
  const time = longestTime(channels);
  const loadTo = loadFirst ? LAST_OFFSET : null;
  return Buffer.byteLength(encodeMetadata({ owner, ledger: longestLedger(), time, loadTo }));
}

/** The most tasks that may write a topic whose readers keep their watermarks. */
export function channelsMax(namespace: string): number {
  // A channel takes a byte at the least.
  let [most, tooMany] = [1, METADATA_BYTES_MAX];
  while (tooMany - most > 1) {
    const channels = Math.floor((most + tooMany) / 2);
    if (metadataBytesMax(namespace, { channels }) <= METADATA_BYTES_MAX) most = channels;
    else tooMany = channels;
  }
  return most;
}
