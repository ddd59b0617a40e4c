// Deliberate mistakes of the protocol, each as a patch of one or more files of the engine that a test process applies
// while it loads them. The product has no switches. Every mistake must be caught by the simulation, or by the test named.
/* eslint max-lines: off -- a table, one entry a mistake */
export interface Patch {
  /** Below src/engine/. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  /** What it does wrong. */
  readonly mistake: string;
  readonly patches: readonly Patch[];
  /** The first seed that catches it, where that is far: the test of every day begins there. */
  readonly near?: number;
  /** The test that catches it, where the simulation has nothing to see. */
  readonly test?: string;
}

const one = (file: string, find: string, replace: string): readonly Patch[] => [
  { file, find, replace },
];

export const mutations: readonly Mutation[] = [
  {
    name: "unchecked read",
    mistake: "values of a copy are used wherever the copy stands",
    patches: one(
      "state/keyed-store.ts",
      "if (nextOffset !== this.#position) {",
      "if (nextOffset === -1n) {",
    ),
  },
  {
    name: "unchecked write",
    mistake: "a copy takes changes wherever it stands",
    patches: one(
      "state/memory-copy.ts",
      'if (stored !== expected) return stored >= target.nextOffset ? "already" : "refused";',
      "",
    ),
  },
  {
    name: "commit before flush",
    mistake: "progress is decided first, outputs and letters follow in a transaction of their own",
    patches: [
      {
        file: "checkpoint/commit.ts",
        find: "tasks.flatMap(({ outputs, changelog, letters }) => [...outputs, ...changelog, ...letters]),",
        replace: "tasks.flatMap(({ changelog }) => changelog),",
      },
      {
        file: "checkpoint/commit.ts",
        find: "  await producer.commit();\n  return sent;",
        replace: `  await producer.commit();
  producer.begin();
  await producer.send(tasks.flatMap(({ outputs, letters }) => [...outputs, ...letters]));
  await producer.commit();
  return sent;`,
      },
    ],
  },
  {
    name: "progress first",
    mistake: "a sink moves its progress row in a transaction before that of the rows",
    patches: [
      {
        file: "sinks/postgres/table-store.ts",
        find: "    let result: SinkResult | null = null;\n",
        replace: `    let result: SinkResult | null = null;
    const all = new Set(commit.rows.map(({ index }) => index));
    const early = commit.ledger({ written: all, stale: new Set(), refused: new Set() });
    await advanceProgress(this.#pool, commit, { ledger: early, now: this.#now() });
`,
      },
      {
        file: "sinks/postgres/table-store.ts",
        find: "const isOurs = await ofOurs(() => advanceProgress(session, commit, moved));",
        replace: "const isOurs = ledger !== null;",
      },
    ],
  },
  {
    name: "hint trusted",
    mistake: "a sink begins where its group's offset says",
    patches: one(
      "runtime/sink/part.ts",
      `    const start = await persist(context, waitOf(seat, "postgres"), () =>
      awaitingTopics(() => store.takeOver(id, first)),
    );`,
      `    const stored = await persist(context, waitOf(seat, "postgres"), () =>
      awaitingTopics(() => store.takeOver(id, first)),
    );
    const [hint] = await persist(context, waitOf(seat, "kafka"), () =>
      context.admin.committed(bound.part.group, [at], { stable: false }),
    );
    const hinted = hint?.nextOffset ?? stored.nextOffset;
    const start = hinted === stored.nextOffset ? stored : await store.reset(id, hinted);`,
    ),
  },
  {
    name: "no epoch",
    mistake: "a sink's commit asks neither for its epoch nor for the offset at which it begins",
    patches: one(
      "sinks/postgres/progress-row.ts",
      " AND epoch = $8::bigint AND next_offset = $9::bigint",
      "",
    ),
  },
  {
    name: "stale cache kept",
    mistake: "what a task had in memory is used again after it was taken over anew",
    patches: [
      {
        file: "runtime/stream/keyed/stores.ts",
        find: "  return new KeyedStore({\n    codec,",
        replace: `  const caches = codec as unknown as Record<string, Map<string, never>>;
  const kept = (caches[\`cells of \${String(partition)}\`] ??= new Map<string, never>());
  return new KeyedStore({
    ...{ kept },
    codec,`,
      },
      {
        file: "state/keyed-store.ts",
        find: "readonly #cells = new Map<string, Cell>();",
        replace: "readonly #cells: Map<string, Cell>;",
      },
      {
        file: "state/keyed-store.ts",
        find: "    this.#position = options.position;\n",
        replace: `    this.#position = options.position;
    this.#cells = (options as unknown as { kept: Map<string, Cell> }).kept;
`,
      },
      { file: "state/keyed-store.ts", find: "    this.#cells.clear();\n", replace: "" },
    ],
  },
  {
    name: "last stable offset as target",
    near: 792,
    mistake: "a copy is brought up to what committed readers see, not to the changelog's end",
    patches: one(
      "state/follow.ts",
      "async function markOf({ admin, changelog }: Following): Promise<Watermarks> {",
      `async function markOf(following: Following): Promise<Watermarks> {
  const end = await endOf(following);
  const fromOffset = end.low;
  const reader = following.kafka.reader({ ...following.changelog, fromOffset, maxWaitMs: 0 });
  const { lastStableOffset } = await reader.read();
  await reader.close();
  return { ...end, high: lastStableOffset };
}

async function endOf({ admin, changelog }: Following): Promise<Watermarks> {`,
    ),
  },
  {
    name: "wrong collapse",
    mistake: "of a batch's rows with one key the oldest is written",
    patches: one(
      "sinks/collapse.ts",
      "if (compare(newestOf(group), row) <= 0) group.rising.push(row);",
      "if (compare(newestOf(group), row) > 0) group.rising.push(row);",
    ),
  },
  {
    name: "unsorted upsert",
    near: 758,
    mistake: "rows are locked in the order of their records",
    patches: one("sinks/collapse.ts", "    .sort((a, b) => (a.key < b.key ? -1 : 1))\n", ""),
  },
  {
    name: "swallowed error",
    mistake: "after a checkpoint that failed the tasks go on with what they have",
    patches: one(
      "runtime/stream/engine.ts",
      "      if (!(await onRefused(error))) await this.#rewind(error);\n",
      "      void [error, onRefused];\n",
    ),
  },
  {
    name: "double resume",
    mistake: "a batch that was fetched a second time is taken a second time",
    patches: one(
      "source/inbox.ts",
      "if (batch.fetchedOffset !== queue.expected) return queue.expected;",
      "",
    ),
  },
  {
    name: "ledger after commit",
    mistake: "a checkpoint carries the ledger of the one before",
    patches: one(
      "runtime/stream/progress.ts",
      "const metadata = encodeMetadata({ owner, ledger: place.ledger, streamTimeMs });",
      `const last = (place as { last?: LedgerCounts }).last ?? addLedger(emptyLedger(), place.ledger);
      Object.assign(place, { last: structuredClone(place.ledger) });
      const metadata = encodeMetadata({ owner, ledger: last, streamTimeMs });`,
    ),
  },
  {
    name: "tombstone lost",
    // A deleted key of an aggregate leaves its time behind, and what distinct forgot is over: nothing is lost with either.
    test: "engine/state/follow.test.ts",
    mistake:
      "a copy is rolled forward however old it is, also past deletions that Kafka has forgotten",
    patches: one(
      "state/follow.ts",
      "return stands.nextOffset === high || now() - stands.timeMs <= tombstonesKeptMs / 2;",
      "return now() >= 0 && tombstonesKeptMs >= 0;",
    ),
  },
  {
    name: "generation ignored",
    near: 898,
    mistake: "progress is committed without the member and generation that read it",
    patches: one(
      "checkpoint/commit.ts",
      "await producer.sendOffsets(progress, generation);",
      'await producer.sendOffsets(progress, { ...generation, generationId: -1, memberId: "" });',
    ),
  },
  {
    name: "unstable progress",
    mistake: "a takeover does not wait for transactions that hold progress",
    patches: one(
      "source/takeover.ts",
      "const committed = await ports.admin.committed(generation.group, partitions, { stable: true });",
      "const committed = await ports.admin.committed(generation.group, partitions, { stable: false });",
    ),
  },
  {
    name: "half a rewind",
    mistake: "after a failed checkpoint only one part goes back",
    patches: [
      {
        file: "runtime/stream/engine.ts",
        find: "      part.drop();\n",
        replace: "      if (part === this.#parts[0]) part.drop();\n",
      },
      {
        file: "runtime/stream/engine.ts",
        find: "for (const part of this.#parts) part.retake(",
        replace: "for (const part of this.#parts.slice(0, 1)) part.retake(",
      },
    ],
  },
  {
    name: "deletion forgotten",
    // As above; a parked key would come twice, and none is parked in the simulation.
    test: "scenario/parking.test.ts",
    mistake: "a copy that is read from its changelog keeps what was deleted",
    patches: one(
      "state/follow.ts",
      "await fresh.put(records.map(changeOf));",
      "await fresh.put(records.filter(({ value }) => value !== null).map(changeOf));",
    ),
  },
  {
    name: "change evicted",
    mistake: "the cache makes room by forgetting changes that the copy lacks",
    patches: one(
      "state/keyed-store.ts",
      "if (cell.dirty === 0 && !cell.isUsed",
      "if (!cell.isUsed",
    ),
  },
  {
    name: "stream time forgotten",
    near: 560,
    mistake: "a new owner begins with no stream time",
    patches: one(
      "runtime/stream/keyed/keyed.ts",
      "const streamTimeMs = Math.max(...starts.map((start) => start.streamTimeMs ?? -1));",
      "const streamTimeMs = starts.length === 0 ? 0 : null;",
    ),
  },
  {
    name: "abandoned takeover",
    near: 63,
    mistake: "a takeover that was given up still writes a first start",
    patches: one("runtime/stream/engine.ts", "      signal.throwIfAborted();\n", ""),
  },
  {
    name: "fenced at once",
    near: 2188,
    mistake: "who was fenced takes over again under the old generation, round and round",
    patches: one(
      "runtime/stream/part.ts",
      "const pause = pauseMs > 0 ? clock.sleep(pauseMs, signal) : Promise.resolve();",
      "const pause = pauseMs < 0 ? clock.sleep(pauseMs, signal) : Promise.resolve();",
    ),
  },
  {
    name: "refused in silence",
    mistake: "a record whose output is refused is left out without a letter",
    patches: one(
      "sinks/redriven.ts",
      'return outcome.kind === "dead-lettered"\n',
      'return outcome.kind === "dead-lettered" && outcome.failure.stage !== "send"\n',
    ),
  },
  {
    name: "rest dropped",
    mistake: "a task whose checkpoint was refused goes on behind it",
    patches: one(
      "runtime/stream/engine.ts",
      "    part.retakeOnly(new Set([blame.stage.task.partition]));\n",
      "",
    ),
  },
  {
    name: "last one blamed",
    mistake:
      "of a checkpoint whose change of state is refused the last record is taken for the one that did it",
    patches: [
      ...one("runtime/stream/feed.ts", "units === 1 ? this.#last : null", "this.#last"),
      ...one(
        "runtime/stream/refused/blame.ts",
        "folded !== null && stage.units > 1",
        "stage.units < 0",
      ),
    ],
  },
  {
    name: "checksum is poison",
    mistake: "a record whose batch fails its checksum once is refused at once",
    patches: one("clients/kafkajs/produce/verdict.ts", "corruptMax = 3", "corruptMax = 1"),
  },
  {
    name: "checksum is transient",
    mistake: "a record that fails its checksum alone, on new connections, is sent again for ever",
    patches: one("clients/kafkajs/produce/verdict.ts", "corruptMax = 3", "corruptMax = Infinity"),
  },
  {
    name: "checksums added up",
    test: "engine/clients/kafkajs/refused-records.test.ts",
    mistake: "failed checksums of other batches count as those of the one that is tried",
    patches: one(
      "clients/kafkajs/produce/verdict.ts",
      "    if (errorCode !== codes.corruptMessage) this.#corrupt.delete(addressOf(queue));\n",
      "",
    ),
  },
  {
    name: "bad connection kept",
    mistake: "a batch whose checksum has failed is sent again over the same connection",
    patches: one(
      "clients/kafkajs/produce/sender.ts",
      "      await broker.disconnect().catch(() => undefined);\n",
      "      void broker;\n",
    ),
  },
  {
    name: "refused batch numbered",
    mistake: "a batch that was refused uses up sequence numbers",
    patches: one(
      "clients/kafkajs/produce/sender.ts",
      "    pending.delete(address);\n",
      `    pending.delete(address);
    if (!isTaken) this.#sequences.set(address, (this.#sequences.get(address) ?? 0) + batch.count);
`,
    ),
  },
  {
    name: "refused row in silence",
    mistake: "what is refused on its way to a table is left out, and nobody is told",
    patches: one(
      "clients/kafkajs/produce/verdict.ts",
      "    for (const [index, words] of named)\n",
      '    for (const [index, words] of queue.topic.endsWith("-sink") ? [] : named)\n',
    ),
  },
  {
    name: "refused letter whole",
    mistake: "a letter that was refused as a whole is sent as a whole again",
    patches: one(
      "runtime/line/refusals.ts",
      'return this.has(raw, "letter") ? { ...origin, bytesMax: 0 } : origin;',
      "return raw.offset < 0n ? { ...origin, bytesMax: 0 } : origin;",
    ),
  },
  {
    name: "owed letter whole",
    near: 60,
    mistake: "an outbox sends a letter that was refused as a whole again",
    patches: one("sinks/owed-letters.ts", "refused.letters.map(reduced)", "refused.letters"),
  },
  {
    name: "small letter dropped",
    near: 60,
    mistake: "an outbox forgets a letter that was refused as pointer and hash",
    patches: one(
      "sinks/owed-letters.ts",
      ".filter((id) => !left.has(id))",
      ".filter(() => left.size >= 0)",
    ),
  },
  {
    name: "keyless letter lost",
    near: 1560,
    mistake: "a letter that was refused as a whole finds no record without a key",
    patches: one(
      "operate/letters/pointer.ts",
      'return createHash("sha256").update(left)',
      'return bytes !== null && createHash("sha256").update(left)',
    ),
  },
  {
    name: "small letter blamed",
    mistake: "a task goes on behind a letter that was refused as pointer and hash, without it",
    patches: one(
      "sinks/redriven.ts",
      "    ? [letterOf(raw, outcome.failure, origin, atMs), ...fate]",
      "    ? [...(origin.bytesMax === 0 ? [] : [letterOf(raw, outcome.failure, origin, atMs)]), ...fate]",
    ),
  },
  {
    name: "wall clock trusted",
    mistake: "a sink paces its commits by a wall clock that may be put back",
    patches: one("runtime/sink/task.ts", "Math.max(0, spentMs)", "spentMs"),
  },
  {
    name: "stopped while starting",
    near: 134,
    mistake: "a worker that was stopped before it had started joins its groups afterwards",
    patches: one("runtime/worker.ts", "    if (this.#stopping !== null) return;\n", ""),
  },
  {
    name: "own time",
    mistake: "what mapWithState tells of a late record has that record's own time",
    patches: one(
      "transform/stateful.ts",
      "    cursor.record = timed(cursor, entry.timestamp);",
      "",
    ),
  },
  {
    name: "deleted time forgotten",
    near: 190,
    mistake: "a key that is deleted leaves nothing behind, so its next result may be older",
    patches: one(
      "transform/stateful.ts",
      "const isOver = entry.value === null && entry.timestamp < now - DELETED_KEPT_MS;",
      "const isOver = entry.value === null || now === 0;",
    ),
  },
  {
    name: "superseded is emitted",
    mistake: "a row that loses to a newer one counts as emitted",
    patches: one(
      "runtime/sink/batch.ts",
      'if (result.stale.has(index)) return { kind: "superseded" };',
      "if (result.stale.has(index)) return outcome;",
    ),
  },
  {
    name: "written by batch",
    near: 145,
    mistake: "rows that were collapsed under a newer one count as emitted, whatever stood there",
    patches: one(
      "sinks/postgres/chunk-statements.ts",
      "const losing = new Set(await this.#compared(session, firsts, at));",
      "const losing = new Set(await this.#compared(session, firsts.slice(0, 0), at));",
    ),
  },
  {
    name: "future taken",
    mistake: "a time that lies further ahead of Kafka's timestamp than its topic allows is taken",
    patches: one(
      "core/event-time.ts",
      "if (given > kafkaMs + rule.futureMaxMs) return",
      "if (given > 1e14) return",
    ),
  },
  {
    name: "arrival moves time",
    near: 60,
    mistake: "a record without a usable time moves stream time by its Kafka timestamp",
    patches: [
      {
        file: "runtime/line/process.ts",
        find: "if (!isUntimed) time =",
        replace: "time =",
      },
      {
        file: "runtime/line/process.ts",
        find: "last === undefined || last.record.isUntimed === true ?",
        replace: "last === undefined ?",
      },
    ],
  },
  {
    name: "conflict is a repeat",
    mistake: "a repeat with other content is dropped like any other",
    patches: one(
      "transform/stateful.ts",
      'if (onRepeat.conflict === "dead-letter") throw conflictAt(node, seen);',
      "",
    ),
  },
  {
    name: "tombstone keeps state",
    mistake: "a tombstone that a step takes leaves the state of its key",
    patches: one(
      "transform/stateful.ts",
      "return settled(isTaken ? onTombstone(state, record) : map(state, value, record));",
      "return settled(isTaken ? { ...onTombstone(state, record), state } : map(state, value, record));",
    ),
  },
];
