// The bytes of an entry, in the changelog and in every copy: a byte for the layout, 8 bytes of event time (int64, epoch ms), 8
// of the due where the entry has one, then the value in its codec's bytes; a deleted key ends in front of the value.
// Documented for other readers in docs/state.md.
import { DecodeError, detailOf, MillraceError } from "../core/errors.ts";
import type { Codec, NotedShape } from "../core/schema.ts";
import type { DueOfUndated, StateEntry, StateKey, WrongValue } from "../core/state.ts";

/** First bytes. Those without a due are what 0.1.0 wrote, whether or not its entries were to be due. */
const VALUE = 1;
const DELETED = 2;
const VALUE_DUE = 3;
const DELETED_DUE = 4;

const TIME_AT = 1;
const DUE_AT = 9;
const HEAD_BYTES = 9;
const HEAD_DUE_BYTES = 17;

export interface EntryCodec {
  encode(entry: StateEntry): Buffer;
  /** A bound for the bytes of an entry that can be written for certain; null where only trying shows it. */
  bytesMax(entry: StateEntry): number | null;
  /** Throws MILL_STATE_FORMAT for bytes of another layout, and what the value's codec throws. */
  decode(key: Buffer, bytes: Buffer): StateEntry;
  /** The due of an entry, by which a copy has it in its index. */
  dueOf(key: Buffer, bytes: Buffer): number | null;
  /** The writer's schema id of the value that must be learnt first, else null. */
  unknownId(bytes: Buffer): number | null;
  /** A structure among the values of the entry of which it must be known first that the code fits it; else null. */
  unknownKept(bytes: Buffer): NotedShape | null;
  /** The values that lack either. */
  unknownIn(values: readonly (Buffer | null)[]): Buffer[];
}

const headBytesOf = (layout: number | undefined): number =>
  layout === VALUE || layout === DELETED ? HEAD_BYTES : HEAD_DUE_BYTES;

/** Whether these are the bytes of a deleted key. */
const isDeleted = (bytes: Buffer): boolean =>
  (bytes[0] === DELETED || bytes[0] === DELETED_DUE) && bytes.length === headBytesOf(bytes[0]);

const isOfValue = (bytes: Buffer): boolean =>
  (bytes[0] === VALUE || bytes[0] === VALUE_DUE) && bytes.length > headBytesOf(bytes[0]);

/** The fault of what lies in front of the value, or null. */
function wrongHead(bytes: Buffer): string | null {
  const [layout] = bytes;
  if (layout === undefined) return "it is empty";
  if (layout < VALUE || layout > DELETED_DUE) return `layout ${String(layout)} is not known`;
  if (!isDeleted(bytes) && !isOfValue(bytes))
    return `${String(bytes.length)} bytes are none of layout ${String(layout)}`;
  const times = [TIME_AT, DUE_AT].slice(0, headBytesOf(layout) === HEAD_BYTES ? 1 : 2);
  return times.every((at) => Number.isSafeInteger(numberAt(bytes, at)))
    ? null
    : "it has a time beyond ±(2^53−1) ms";
}

/** The declarations of a store's operator about its entries. */
interface EntryRules {
  readonly dueOfUndated?: DueOfUndated;
  readonly wrongValue?: WrongValue | null;
  /** A structure that is not known yet, among the records that an entry has; left out where entries have none. */
  unknownShape?(value: unknown): NotedShape | null;
}

export function entryCodec(
  value: Codec,
  store: string,
  { dueOfUndated = () => null, wrongValue = null, unknownShape }: EntryRules = {},
): EntryCodec {
  const valueIn = reading(value, store, wrongValue);
  const dueIn = (key: Buffer, bytes: Buffer): number | null => {
    const why = wrongHead(bytes);
    if (why !== null) throw new MillraceError("MILL_STATE_FORMAT", `${store}: ${why}`);
    if (headBytesOf(bytes[0]) === HEAD_DUE_BYTES) return numberAt(bytes, DUE_AT);
    const entry = { timestamp: numberAt(bytes, TIME_AT), isDeleted: isDeleted(bytes) };
    return dueOfUndated(key, { ...entry, value: () => valueIn(key, bytes) });
  };
  return {
    encode: (entry) => {
      const body = entry.value === null ? null : value.encode(entry.value);
      if (entry.value !== null && body === null)
        throw new MillraceError("MILL_STATE_FORMAT", `${store}: a value without bytes`);
      if (body !== null && value.isValidated === true) refuseUnreadable(value, store, body);
      return bytesOf(entry, body);
    },
    bytesMax(entry) {
      const head = entry.dueMs === null ? HEAD_BYTES : HEAD_DUE_BYTES;
      const body = entry.value === null ? 0 : (value.bytesMax?.(entry.value) ?? null);
      return body === null ? null : head + body;
    },
    decode(key, bytes) {
      const dueMs = dueIn(key, bytes);
      return { value: valueIn(key, bytes), timestamp: numberAt(bytes, TIME_AT), dueMs };
    },
    dueOf: dueIn,
    ...lacking(value, unknownShape),
  };
}

/**
 * What its validator refuses would stop the task when the entry is read again: it is the fault of the record that makes it.
 */
function refuseUnreadable(value: Codec, store: string, body: Buffer): void {
  try {
    value.decode(body);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new MillraceError("MILL_ENCODE_VALUE", `${store}: ${detailOf(error)}`);
  }
}

/** The schemas and structures that entries need to be read. */
function lacking(
  value: Codec,
  unknownShape: EntryRules["unknownShape"],
): Pick<EntryCodec, "unknownId" | "unknownKept" | "unknownIn"> {
  const bodyOf = (bytes: Buffer): Buffer => bytes.subarray(headBytesOf(bytes[0]));
  const keptOf = value.unknownKept?.bind(value) ?? keptIn(value, unknownShape);
  const unknownId = (bytes: Buffer): number | null =>
    isDeleted(bytes) ? null : value.unknownId(bodyOf(bytes));
  const unknownKept = (bytes: Buffer): NotedShape | null =>
    isDeleted(bytes) ? null : keptOf(bodyOf(bytes));
  const lacks = (bytes: Buffer): boolean =>
    unknownId(bytes) !== null || unknownKept(bytes) !== null;
  const unknownIn = (values: readonly (Buffer | null)[]): Buffer[] =>
    values.filter((bytes): bytes is Buffer => bytes !== null && lacks(bytes));
  return { unknownId, unknownKept, unknownIn };
}

/** Bytes that cannot be read lack nothing: reading them says what is wrong. */
function keptIn(
  value: Codec,
  unknownShape: EntryRules["unknownShape"],
): NonNullable<Codec["unknownKept"]> {
  if (unknownShape === undefined) return () => null;
  return (bytes) => {
    let decoded: unknown;
    try {
      decoded = value.decode(bytes);
    } catch (error) {
      if (error instanceof DecodeError) return null;
      throw error;
    }
    return unknownShape(decoded);
  };
}

/** Reads the value of an entry; null for a deleted key. */
const reading =
  (value: Codec, store: string, wrongValue: WrongValue | null) =>
  (key: Buffer, bytes: Buffer): unknown => {
    if (isDeleted(bytes)) return null;
    const decoded = decodedBy(value, store, bytes);
    const why = wrongValue?.(key, decoded) ?? null;
    if (why !== null) throw new MillraceError("MILL_STATE_ENTRY", `${store}: ${why}`);
    return decoded;
  };

function decodedBy(value: Codec, store: string, bytes: Buffer): unknown {
  try {
    return value.decode(bytes.subarray(headBytesOf(bytes[0])));
  } catch (error) {
    throw unreadable(store, error);
  }
}

/** The text of a foreign error may quote the value, so it is not passed on. */
const unreadable = (store: string, error: unknown): unknown => {
  if (error instanceof MillraceError && !(error instanceof DecodeError)) return error;
  const why =
    error instanceof MillraceError ? `${error.code} ${error.message}` : "the bytes cannot be read";
  return new MillraceError("MILL_STATE_ENTRY", `${store}: ${why}`);
};

/** Whether bytes of a store are at fault, and not what reads them. */
export const isOfEntry = (error: unknown): error is MillraceError =>
  error instanceof MillraceError &&
  (error.code === "MILL_STATE_FORMAT" || error.code === "MILL_STATE_ENTRY");

/** Without a body: of a deleted key. */
function bytesOf({ timestamp, dueMs }: StateEntry, body: Buffer | null): Buffer {
  const layouts = dueMs === null ? [VALUE, DELETED] : [VALUE_DUE, DELETED_DUE];
  const layout = layouts[body === null ? 1 : 0] as number;
  const head = headBytesOf(layout);
  const bytes = Buffer.allocUnsafe(head + (body?.length ?? 0));
  bytes[0] = layout;
  putNumber(bytes, timestamp, TIME_AT);
  if (dueMs !== null) putNumber(bytes, dueMs, DUE_AT);
  body?.copy(bytes, head);
  return bytes;
}

/** A double has every millisecond exactly; two words are faster than a bigint. */
function putNumber(bytes: Buffer, ms: number, at: number): void {
  bytes.writeInt32BE(Math.floor(ms / 2 ** 32), at);
  bytes.writeUInt32BE(ms >>> 0, at + 4);
}

const numberAt = (bytes: Buffer, at: number): number =>
  bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);

/**
 * Undefined for what can be written for certain: a checkpoint makes the bytes of the last change of a key only. Throws
 * MILL_RECORD_TOO_LARGE for what the changelog does not take.
 */
export function encodedIfLarge(
  { codec, changeBytesMax }: { readonly codec: EntryCodec; readonly changeBytesMax: number },
  id: string,
  entry: StateEntry,
): Buffer | undefined {
  if (id.length + (codec.bytesMax(entry) ?? Infinity) <= changeBytesMax) return undefined;
  const value = codec.encode(entry);
  const bytes = id.length + value.length;
  if (bytes <= changeBytesMax) return value;
  const limit = String(changeBytesMax);
  throw new MillraceError("MILL_RECORD_TOO_LARGE", `state of ${String(bytes)}, at most ${limit}`);
}

/**
 * Asked about an entry of a copy that cannot be read. Returns when the changelog has another one, so that the copy is at
 * fault; else throws with the place in the changelog.
 */
export type EntryBlame = (key: Buffer, value: Buffer, why: MillraceError) => Promise<void>;

/** The entries of a copy, null where it has none. Throws MILL_STATE_COPY where the copy is at fault. */
export async function decodedEntries(
  { codec, blame }: { readonly codec: EntryCodec; readonly blame: EntryBlame },
  keys: readonly StateKey[],
  values: readonly (Buffer | null)[],
): Promise<readonly (StateEntry | null)[]> {
  const entries: (StateEntry | null)[] = [];
  for (const [i, { bytes: key }] of keys.entries()) {
    const value = values[i] ?? null;
    try {
      entries.push(value === null ? null : codec.decode(key, value));
    } catch (error) {
      if (!isOfEntry(error)) throw error;
      await blame(key, value as Buffer, error);
      throw new MillraceError("MILL_STATE_COPY", error.message);
    }
  }
  return entries;
}
