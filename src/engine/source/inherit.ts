// The move of a piece's progress from the group in which an earlier version of the pipeline had it: with its ledger and its
// stream time, in one transaction that leaves nothing to go on with in the old group. A worker of the earlier version that
// comes later stops there, and says so. Letters on their way back begin at the first that the old group has not consumed.
import { MillraceError } from "../core/errors.ts";
import type {
  AdminPort,
  Assignment,
  CommittedOffset,
  KafkaPort,
  Progress,
  TxProducer,
  Watermarks,
} from "../core/kafka.ts";
import { emptyLedger } from "../core/ledger.ts";
import { decodeMetadata, encodeMetadata, wrongMetadata } from "../core/task-inputs.ts";
import type { Clock } from "../core/ports.ts";
import { readRange } from "../core/read-range.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../core/record.ts";
import { redriveOrderOf, statesIn, type RedriveOrder } from "../core/redrive.ts";
import {
  isPiece,
  pieceRecord,
  readNotes,
  startNote,
  startRecord,
  type StartNote,
  type NoteBook,
  type Notes,
} from "../notes/notes.ts";
import type { PartFacts } from "../notes/stops.ts";

/** The part under the names that it has, or had in an earlier version of the pipeline. */
export interface GroupNames {
  /** It is named by its source. */
  readonly isNamed: boolean;
  /** The group of the pipeline's first part. */
  readonly main: GroupId;
  /** Groups that may have its progress in the topic. */
  former(topic: TopicName): readonly GroupId[];
  /** Groups of such names that a table has now: what they say of the topic is the table's. */
  taken(topic: TopicName): readonly GroupId[];
  /** Whether the letter is the part's, whatever the name that it had when it was sent. */
  isOwn(order: RedriveOrder): boolean;
}

export interface InheritPorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: AdminPort;
  readonly clock: Pick<Clock, "monotonic">;
  readonly notes: NoteBook;
  /** Runs a transaction of this worker, between its checkpoints. */
  transact(body: (producer: TxProducer) => Promise<void>): Promise<void>;
}

export interface InheritRequest {
  readonly assignment: Assignment;
  /** The partitions of the assignment that are taken over. */
  readonly partitions: readonly TopicPartition[];
  readonly part: PartFacts;
  readonly naming: GroupNames;
  /** This worker's transactional id. */
  readonly owner: string;
  readonly sessionTimeoutMs: number;
  readonly meta: TopicName;
  readonly letterStates: TopicName;
}

interface Inheriting {
  readonly notes: Notes;
  readonly committed: readonly CommittedOffset[];
  /** Ends what dead owners of progress in the group left open. */
  endOwners(group: GroupId, partitions: readonly TopicPartition[]): Promise<void>;
}

/** Progress of one partition in the old group. */
type Legacy = CommittedOffset & { readonly nextOffset: bigint };

/** No progress, in Kafka's words. */
const NONE = -1n;

/** Returns whether progress was moved. Throws MILL_SOURCE_VERSIONS while somebody still reads under the old name. */
export async function inherit(
  ports: InheritPorts,
  request: InheritRequest,
  found: Inheriting,
): Promise<boolean> {
  const { naming, partitions, part } = request;
  const { notes } = found;
  const former = partitions
    .filter(({ topic }) => topic !== part.redrive)
    .flatMap((at) => naming.former(at.topic).map((group) => ({ at, group })))
    .filter(({ at, group }) => startNote(notes, group, at) !== null)
    // A table's group may have had the name too.
    .filter(({ at, group }) => group === naming.main || isPiece(notes, group, at));
  let isMoved = false;
  for (const [group, own] of Map.groupBy(former, (one) => one.group)) {
    const at = own.map((one) => one.at);
    const latest = await ports.admin.committed(group, at, { stable: false });
    if (latest.every(({ nextOffset }) => nextOffset === null)) continue;
    if (await isRead(ports, group, at)) throw stillRead(request, group);
    await found.endOwners(group, at);
    const readMs = ports.clock.monotonic();
    const offsets = await ports.admin.committed(group, at, { stable: true });
    const legacies = offsets.filter((offset): offset is Legacy => offset.nextOffset !== null);
    const move = new ProgressTakeover(ports, request, { ...found, group, legacies, readMs });
    if (!(await move.run())) throw stillRead(request, group);
    isMoved = true;
  }
  return isMoved;
}

/** Also while the group is at its rebalance, and does not answer. */
async function isRead(
  { admin }: InheritPorts,
  group: GroupId,
  at: readonly TopicPartition[],
): Promise<boolean> {
  const { members } = await admin.describeGroup(group);
  const topics = new Set(at.map(({ topic }) => topic));
  return members.some((member) => member.topics?.some((topic) => topics.has(topic)) ?? true);
}

function stillRead({ part }: InheritRequest, group: GroupId): MillraceError {
  const detail = `${part.pipeline}, part ${part.part}: workers of an earlier version still read its topics in group ${group}; it goes on when they have ended`;
  return new MillraceError("MILL_SOURCE_VERSIONS", detail, { disposition: "pause" });
}

interface Moving extends Inheriting {
  /** The old one. */
  readonly group: GroupId;
  readonly legacies: readonly Legacy[];
  /** When the progress was read. */
  readonly readMs: number;
}

class ProgressTakeover {
  readonly #ports: InheritPorts;
  readonly #request: InheritRequest;
  readonly #moving: Moving;

  constructor(ports: InheritPorts, request: InheritRequest, moving: Moving) {
    this.#ports = ports;
    this.#request = request;
    this.#moving = moving;
  }

  /** Returns whether it was decided. */
  async run(): Promise<boolean> {
    const letters = await this.#letters();
    let isDecided = false;
    await this.#ports.transact(async (producer) => {
      producer.begin();
      isDecided = await this.#write(producer, letters);
      await (isDecided ? producer.commit() : producer.abort());
    });
    this.#ports.notes.forget();
    return isDecided;
  }

  /**
   * 1 the old group's progress goes · 2 nobody reads there, and nobody has since its progress was read: who comes from now on
   * waits for this transaction · 3 ours.
   */
  async #write(producer: TxProducer, letters: readonly Progress[]): Promise<boolean> {
    const { assignment, meta } = this.#request;
    const { group, legacies } = this.#moving;
    // 1
    const gone = legacies.map((offset): Progress => ({ ...offset, nextOffset: NONE }));
    await producer.sendOffsets(gone, { group, generationId: -1, memberId: "" });
    // 2
    if (!(await this.#isUntouched())) return false;
    // 3
    const progress = [...legacies.map((offset) => this.#progressOf(offset)), ...letters];
    const { generation } = assignment;
    await producer.send([
      ...progress.map((at) => {
        const { nextOffset, ...topic } = this.#begunAt(at);
        return startRecord(meta, generation.group, { ...at, nextOffset }, topic);
      }),
      ...progress.map((at) => pieceRecord(meta, generation.group, at)),
    ]);
    await producer.sendOffsets(progress, generation);
    return true;
  }

  async #isUntouched(): Promise<boolean> {
    const { group, legacies: at, readMs } = this.#moving;
    const { admin, clock } = this.#ports;
    if (await isRead(this.#ports, group, at)) return false;
    const now = await admin.committed(group, at, { stable: false });
    const isSame = now.every(({ nextOffset }, i) => nextOffset === at[i]?.nextOffset);
    // Within half a session nobody can have joined, died and been forgotten.
    return isSame && clock.monotonic() - readMs < this.#request.sessionTimeoutMs / 2;
  }

  #progressOf({ topic, partition, nextOffset, metadata }: Legacy): Progress {
    // The takeover says what is wrong with it.
    if (wrongMetadata(metadata) !== null) return { topic, partition, nextOffset, metadata };
    const known = decodeMetadata(metadata) ?? { ledger: emptyLedger() };
    const own = encodeMetadata({ ...known, owner: this.#request.owner });
    return { topic, partition, nextOffset, metadata: own };
  }

  /** The start of the ledger: in the old group; for the redrive topic, in this one. */
  #begunAt(at: Progress): StartNote {
    const { group, legacies, notes } = this.#moving;
    const isOld = legacies.some((offset) => addressOf(offset) === addressOf(at));
    const note = startNote(notes, isOld ? group : this.#request.assignment.generation.group, at);
    const { nextOffset } = isOld ? { nextOffset: 0n } : at;
    return note ?? { nextOffset, topicId: null, partitions: null };
  }

  /** The offset where each of the tasks goes on in the redrive topic. */
  async #letters(): Promise<readonly Progress[]> {
    const { legacies, committed } = this.#moving;
    const moved = new Set(legacies.map(({ partition }) => partition));
    const { part, letterStates } = this.#request;
    const own = committed.filter((at) => at.topic === part.redrive && moved.has(at.partition));
    // Without the redrive topic there need be no states either.
    if (own.length === 0) return [];
    const states = statesIn(await readNotes(this.#ports, letterStates));
    const isDone = ({ id, redrives, generation = 0 }: RedriveOrder): boolean => {
      const said = states.get(id)?.findLast((one) => one.generation >= generation);
      if (said?.redrives !== redrives) return (said?.redrives ?? 0) > redrives;
      return said.state !== "redriven" || said.queued === true;
    };
    const marks = await this.#ports.admin.watermarks(part.redrive);
    return Promise.all(
      own.map(async ({ topic, partition, metadata }) => {
        const mark = marks.find((one) => one.partition === partition);
        const nextOffset = mark === undefined ? 0n : await this.#firstOpen(mark, isDone);
        return this.#progressOf({ topic, partition, nextOffset, metadata });
      }),
    );
  }

  async #firstOpen(
    { topic, partition, low: from, high: to }: Watermarks,
    isDone: (order: RedriveOrder) => boolean,
  ): Promise<bigint> {
    const range = { topic, partition, from, to };
    for await (const { records } of readRange(this.#ports.kafka, range))
      for (const { headers, offset } of records) {
        const order = redriveOrderOf(headers);
        if (order !== null && this.#request.naming.isOwn(order) && !isDone(order)) return offset;
      }
    return to;
  }
}
