// Topics as a reader gets them, in one batch: what lies there is all that matters, and a cluster in memory would take most of the time.
import type { TopicPorts } from "../../../src/engine/core/read-range.ts";
import type { Headers, OutRecord, RawRecord } from "../../../src/engine/core/record.ts";
import type { Draw } from "../draw.ts";
import { mutated, mutatedOrNull } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";
import { oddText } from "../mutate/words.ts";

export type Logs = ReadonlyMap<string, readonly RawRecord[]>;

/** Offsets are the places in the list, partition 0 throughout. */
export function logOf(topic: string, records: readonly Omit<OutRecord, "topic">[]): RawRecord[] {
  return records.map(({ key, value, headers, timestamp }, i) => ({
    ...{ topic, partition: 0, offset: BigInt(i), key, value, headers, timestamp },
  }));
}

export const portsOf = (logs: Logs): TopicPorts => ({
  admin: {
    watermarks: (topic) => {
      const high = BigInt(logs.get(topic)?.length ?? 0);
      return Promise.resolve([{ topic, partition: 0, low: 0n, high }]);
    },
  },
  kafka: {
    reader: ({ topic }) => {
      const records = logs.get(topic) ?? [];
      const nextOffset = BigInt(records.length);
      const ends = { lastStableOffset: nextOffset, highWatermark: nextOffset };
      return {
        read: () => Promise.resolve({ ...ends, records, nextOffset }),
        close: () => Promise.resolve(),
      };
    },
  },
});

type Changed = Pick<OutRecord, "key" | "value" | "headers">;

/** The record of a note: the key, the JSON, or both are changed. */
export function noteChanged(draw: Draw, { key, value }: Pick<OutRecord, "key" | "value">): Changed {
  const isKey = draw.chance(0.2);
  const known = value === null ? null : value.toString("utf8");
  return {
    key: isKey ? mutatedOrNull(draw, key) : key,
    value: isKey && draw.chance(0.7) ? value : valueChanged(draw, known),
    headers: [],
  };
}

function valueChanged(draw: Draw, text: string | null): Buffer | null {
  if (text === null || draw.chance(0.03)) return null;
  try {
    return jsonBytes(draw, JSON.parse(text));
  } catch {
    return mutated(draw, Buffer.from(text));
  }
}

/** Headers of which some are changed, are there twice, are missing, or change places. */
export function headersChanged(draw: Draw, headers: Headers): Headers {
  const changed = headers.map((one) => [...one] as [string, Buffer | null]);
  for (let n = draw.below(4); n > 0; n--) {
    const place = draw.below(changed.length + 1);
    const [name, value] = changed[place] ?? ["x", null];
    const ways = [
      (): unknown => changed.splice(place, 1),
      (): unknown => changed.splice(place, 1, [name, mutatedOrNull(draw, value)]),
      (): unknown => changed.splice(place, 1, [name, Buffer.from(oddText(draw))]),
      (): unknown => changed.splice(place, 1, [oddText(draw), value]),
      (): unknown => changed.splice(draw.below(changed.length + 1), 0, [name, value]),
      (): unknown => changed.splice(0, 0, ...draw.list(1, 200, (): [string, null] => [name, null])),
    ];
    draw.of(ways)();
  }
  return changed;
}

/** A time of 64 bits, as a record may have it. */
export const stampOf = (number: number): number =>
  Number(BigInt.asIntN(64, BigInt(Math.trunc(number))));
