// Letters on their way back: those that a redrive has sent and nobody has dealt with yet. The redrive writes a record and
// the state of its letter in one transaction, and the state has a seal of the record. So a record without such a state comes
// from no letter, and one whose state says that it was dealt with came back before: neither is worked on.
import { createHash } from "node:crypto";
import { parseKnown } from "../../core/foreign.ts";
import { late } from "../../core/late-topics.ts";
import { Mutex } from "../../core/mutex.ts";
import { readRange, type TopicPorts } from "../../core/read-range.ts";
import type { OutRecord, RawRecord, TopicName } from "../../core/record.ts";
import {
  letterStateCheck,
  redriveOrderOf,
  stateKeyOf,
  type LetterState,
  type RedriveOrder,
} from "../../core/redrive.ts";
import { wrongNote } from "../../notes/kinds.ts";

/** The hash of everything that a redrive writes; 32 hex digits. */
export function sealOf({
  key,
  value,
  headers,
}: Pick<OutRecord, "key" | "value" | "headers">): string {
  const hash = createHash("sha256");
  const add = (bytes: Buffer | null): void => {
    hash.update(`${bytes === null ? "-" : String(bytes.length)} `);
    if (bytes !== null) hash.update(bytes);
  };
  for (const bytes of [key, value]) add(bytes);
  for (const [name, bytes] of headers) {
    add(Buffer.from(name));
    add(bytes);
  }
  return hash.digest("hex").slice(0, 32);
}

type OpenRedrive = Pick<LetterState, "redrives" | "seal">;

/** Redrives that are open, as far as the states were read; only what is on its way is kept. */
export class RedriveProofs {
  readonly #ports: TopicPorts;
  readonly #states: TopicName;
  readonly #lock = new Mutex();
  readonly #open = new Map<string, OpenRedrive>();
  #next = -1n;

  constructor(ports: TopicPorts, states: TopicName) {
    this.#ports = ports;
    this.#states = states;
  }

  has(raw: RawRecord, order: RedriveOrder): boolean {
    const open = this.#open.get(nameOf(order));
    if (open?.redrives !== order.redrives) return false;
    return open.seal === undefined || open.seal === sealOf(raw);
  }

  /** Everything is seen that was written before the look: the state of a record that can be read is among it. */
  look(signal: AbortSignal): Promise<void> {
    return this.#lock.run(async () => {
      const { kafka, admin } = late(this.#ports);
      const marks = await admin.watermarks(this.#states);
      const { low, high: to } = marks.find(({ partition }) => partition === 0) ?? {
        low: 0n,
        high: 0n,
      };
      if (this.#next < low || this.#next > to) {
        this.#open.clear();
        this.#next = low;
      }
      const range = { topic: this.#states, partition: 0, from: this.#next, to };
      const onUnreadable = (): void => undefined;
      const reading = readRange(kafka, range, { signal, onUnreadable });
      for await (const { records, nextOffset } of reading) {
        for (const record of records) this.#add(record);
        this.#next = nextOffset;
      }
    });
  }

  /** A state that cannot be read, alone or in its batch, leaves what was said before. */
  #add({ key: bytes, value }: RawRecord): void {
    const key = String(bytes);
    if (!key.startsWith("letter/")) return;
    const text = value?.toString("utf8") ?? null;
    if (text !== null && wrongNote(key, text) !== null) return;
    const said = text === null ? null : parseKnown<LetterState>(text, letterStateCheck);
    if (said?.state !== "redriven" || said.queued === true) this.#open.delete(key);
    else this.#open.set(key, { redrives: said.redrives, ...sealIn(said) });
  }
}

const sealIn = ({ seal }: LetterState): Pick<LetterState, "seal"> =>
  seal === undefined ? {} : { seal };

const nameOf = ({ id, generation = 0 }: RedriveOrder): string => stateKeyOf(id, generation);

/** The records of one task that came back: each is taken once, whoever has written it how often. */
export class ProvenRedrives {
  readonly #proofs: RedriveProofs;
  readonly #taken = new Set<string>();
  #hasLooked = false;

  constructor(proofs: RedriveProofs) {
    this.#proofs = proofs;
  }

  /** The records of the redrive topic that come from a letter and were not taken yet. */
  async of(records: readonly RawRecord[], signal: AbortSignal): Promise<ReadonlySet<RawRecord>> {
    const asked = records.flatMap((raw) => {
      const order = redriveOrderOf(raw.headers);
      return order === null
        ? []
        : [{ raw, order, name: `${nameOf(order)} ${String(order.redrives)}` }];
    });
    const isOpen = ({ raw, order, name }: (typeof asked)[0]): boolean =>
      !this.#taken.has(name) && this.#proofs.has(raw, order);
    // The first look sees the decisions of an earlier owner.
    if (asked.length > 0 && !(this.#hasLooked && asked.every(isOpen))) {
      await this.#proofs.look(signal);
      this.#hasLooked = true;
    }
    const proven = new Set<RawRecord>();
    for (const one of asked) {
      if (!isOpen(one)) continue;
      proven.add(one.raw);
      this.#taken.add(one.name);
    }
    return proven;
  }
}
