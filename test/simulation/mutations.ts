// Deliberate mistakes of the protocol: each changes marked places of the engine (mutation-marks.ts) that a test process
// applies while it loads them. The product has no switches. Every mistake must be caught by the simulation, or by the test
// named.
/* eslint max-lines: off -- a table, one entry a mistake */

/** The new code, or made of the code that it replaces. */
type Code = string | ((was: string) => string);

/** "omit" and `instead` are about the marked code whole; the others about what belongs to it. */
export type Change =
  | "omit"
  | { readonly before: string }
  | { readonly after: string }
  | { readonly instead: Code }
  /** The condition of an `if` or a `? :`. */
  | { readonly condition: Code }
  /** The value that a name or a field is set to, that is returned, or that a loop goes over. */
  | { readonly value: Code };

export interface Mutation {
  readonly name: string;
  /** The error that it makes. */
  readonly mistake: string;
  /** The change at each mark, in the marks' order: `// mistake: <name>`, or `// mistake: <name> (1 of 2)`. */
  readonly changes: readonly Change[];
  /** The first seed that catches it, where that is far: the test of every day begins there. */
  readonly near?: number;
  /** Cases of test/schedules/ catch it, in the place of the simulation's seeds. */
  readonly schedules?: true;
  /** The test that catches it, where the simulation has nothing to see. */
  readonly test?: string;
}

export const mutations: readonly Mutation[] = [
  {
    name: "unchecked read",
    near: 20,
    mistake: "values of a copy are used wherever the copy stands",
    changes: [{ condition: "false" }],
  },
  {
    name: "unchecked write",
    near: 285,
    mistake: "a copy takes changes wherever it stands",
    changes: ["omit"],
  },
  {
    name: "commit before flush",
    mistake: "progress is decided first, outputs and letters follow in a transaction of their own",
    changes: [
      { value: "await producer.send(tasks.flatMap(({ changelog }) => changelog))" },
      {
        before: `producer.begin();
          await producer.send(tasks.flatMap(({ outputs, letters }) => [...outputs, ...letters]));
          await producer.commit();`,
      },
    ],
  },
  {
    name: "progress first",
    mistake: "a sink moves its progress row in a transaction before that of the rows",
    changes: [
      {
        after: `const all = new Set(commit.rows.map(({ index }) => index));
          const early = commit.ledger({ written: all, stale: new Set(), refused: new Set() });
          await advanceProgress(this.#pool, commit, { ledger: early, now: this.#now() });`,
      },
      { value: "ledger !== null" },
    ],
  },
  {
    name: "hint trusted",
    near: 60,
    mistake: "a sink begins where its group's offset says",
    changes: [
      {
        value: (was) => `await (async () => {
          const stored = ${was};
          const [hint] = await task.persist("kafka", () =>
            context.admin.committed(bound.part.group, [at], { stable: false }),
          );
          const hinted = hint?.nextOffset ?? stored.nextOffset;
          return hinted === stored.nextOffset ? stored : await this.#store.reset(task.address, hinted);
        })()`,
      },
    ],
  },
  {
    name: "no epoch",
    near: 85,
    mistake: "a sink's commit asks neither for its epoch nor for the offset at which it begins",
    changes: [{ instead: (was) => was.replace(/ AND .*(?=`)/, "") }],
  },
  {
    name: "stale cache kept",
    mistake: "what a task had in memory is used again after it was taken over anew",
    changes: [
      {
        before: `const caches = codec as unknown as Record<string, Map<string, never>>;
          const kept = (caches["cells of " + String(following.changelog.partition)] ??= new Map<string, never>());
          Object.assign(following.copy, { kept });`,
      },
      {
        after: `const { kept } = options.copy as unknown as { kept: Map<string, Cells> };
          if (!kept.has("cells")) kept.set("cells", this.#cells);
          this.#cells = kept.get("cells") as Cells;`,
      },
      "omit",
    ],
  },
  {
    name: "last stable offset as target",
    near: 800,
    mistake: "a copy is brought up to what committed readers see, not to the changelog's end",
    changes: [
      {
        instead: (was) => `${was.replace("markOf", "endOf")}

          async function markOf(following: Following): Promise<Watermarks> {
            const end = await endOf(following);
            const fromOffset = end.low;
            const reader = following.kafka.reader({ ...following.changelog, fromOffset, maxWaitMs: 0 });
            const { lastStableOffset } = await reader.read();
            await reader.close();
            return { ...end, high: lastStableOffset };
          }`,
      },
    ],
  },
  {
    name: "wrong collapse",
    mistake: "of a batch's rows with one key the oldest is written",
    changes: [{ condition: (was) => `!(${was})` }],
  },
  {
    name: "unsorted upsert",
    test: "engine/sinks/collapse.test.ts",
    mistake: "rows are locked in the order of their records",
    changes: [{ value: "[...groups.values()]" }],
  },
  {
    name: "swallowed error",
    mistake: "after a checkpoint that failed the tasks go on with what they have",
    changes: ["omit"],
  },
  {
    name: "double resume",
    mistake: "a batch that was fetched a second time is taken a second time",
    changes: ["omit"],
  },
  {
    name: "ledger after commit",
    mistake: "a checkpoint carries the ledger of the one before",
    changes: [
      {
        instead: `const last = (input as { last?: LedgerCounts }).last ?? addLedger(emptyLedger(), input.ledger);
          Object.assign(input, { last: structuredClone(input.ledger) });
          const metadata = encodeMetadata({ owner, ledger: last, time });`,
      },
    ],
  },
  {
    name: "tombstone lost",
    // A deleted key of an aggregate leaves its time behind, and what distinct forgot is over: nothing is lost with either.
    test: "engine/state/follow.test.ts",
    mistake:
      "a copy is rolled forward however old it is, also past deletions that Kafka has forgotten",
    changes: [{ value: "true" }],
  },
  {
    name: "generation ignored",
    near: 560,
    mistake: "progress is committed without the member and generation that read it",
    changes: [
      {
        instead:
          'await producer.sendOffsets(progress, { ...generation, generationId: -1, memberId: "" });',
      },
    ],
  },
  {
    name: "unstable progress",
    near: 100,
    mistake: "a takeover does not wait for transactions that hold progress",
    changes: [
      { value: "await ports.admin.committed(generation.group, partitions, { stable: false })" },
    ],
  },
  {
    name: "half a rewind",
    mistake: "after a failed checkpoint only one part goes back",
    changes: [
      { instead: (was) => `if (part === this.#parts[0]) ${was}` },
      { value: (was) => `${was}.slice(0, 1)` },
    ],
  },
  {
    name: "deletion forgotten",
    // As above; a parked key would come twice, and none is parked in the simulation.
    test: "scenario/parking.test.ts",
    mistake: "a copy that is read from its changelog keeps what was deleted",
    changes: [
      {
        instead: "await fresh.put(changes.filter(({ value }) => value !== null));",
      },
    ],
  },
  {
    name: "change evicted",
    mistake: "the cache makes room by forgetting changes that the copy lacks",
    changes: [{ condition: "!cell.isUsed && !isInHand(id)" }],
  },
  {
    name: "stream time forgotten",
    near: 560,
    mistake: "a new owner begins with no times of its inputs",
    changes: [{ value: "timeOf(topic, {})" }],
  },
  {
    name: "abandoned takeover",
    near: 220,
    mistake: "a takeover that was given up still writes a first start",
    changes: ["omit"],
  },
  {
    name: "fenced at once",
    near: 290,
    mistake: "who was fenced takes over again under the old generation, round and round",
    changes: [{ condition: "false" }],
  },
  {
    name: "refused in silence",
    mistake: "a record whose output is refused is left out without a letter",
    changes: [{ condition: (was) => `${was} && outcome.failure.stage !== "send"` }],
  },
  {
    name: "rest dropped",
    mistake: "a task whose checkpoint was refused goes on behind it",
    changes: ["omit"],
  },
  {
    name: "refused while it leaves",
    near: 1000,
    mistake: "a task whose checkpoint was refused goes on behind it until its partitions are gone",
    changes: ["omit"],
  },
  {
    name: "last one blamed",
    mistake:
      "of a checkpoint whose change of state is refused the last record is taken for the one that did it",
    changes: [{ value: "this.#last" }, "omit"],
  },
  {
    name: "checksum is poison",
    mistake: "a record whose batch fails its checksum once is refused at once",
    changes: [{ value: "1" }],
  },
  {
    name: "checksum is transient",
    mistake: "a record that fails its checksum alone, on new connections, is sent again for ever",
    changes: [{ value: "Infinity" }],
  },
  {
    name: "checksums added up",
    test: "engine/clients/kafkajs/refused-records.test.ts",
    mistake: "failed checksums of other batches count as those of the one that is tried",
    changes: ["omit"],
  },
  {
    name: "bad connection kept",
    mistake: "a batch whose checksum has failed is sent again over the same connection",
    changes: [{ instead: "void broker;" }],
  },
  {
    name: "refused batch numbered",
    mistake: "a batch that was refused uses up sequence numbers",
    changes: [
      {
        after: `if (!isTaken)
            this.#sequences.set(address, (this.#sequences.get(address) ?? 0) + batch.count);`,
      },
    ],
  },
  {
    name: "refused row in silence",
    mistake: "what is refused on its way to a table is left out, and nobody is told",
    changes: [{ value: (was) => `queue.topic.endsWith("-sink") ? [] : ${was}` }],
  },
  {
    name: "refused letter whole",
    mistake: "a letter that was refused as a whole is sent as a whole again",
    changes: [{ condition: "raw.offset < 0n" }],
  },
  {
    name: "pending letter whole",
    near: 60,
    mistake: "an outbox sends a letter that was refused as a whole again",
    changes: [{ value: "await refusedOf(producer, refused.letters)" }],
  },
  {
    name: "small letter dropped",
    near: 60,
    mistake: "an outbox forgets a letter that was refused as pointer and hash",
    changes: [{ value: (was) => was.replace("!left.has(id)", "left.size >= 0 || id === null") }],
  },
  {
    name: "keyless letter lost",
    near: 1560,
    mistake: "a letter that was refused as a whole finds no record without a key",
    changes: [{ value: (was) => `bytes !== null && ${was}` }],
  },
  {
    name: "small letter blamed",
    mistake: "a task goes on behind a letter that was refused as pointer and hash, without it",
    changes: [
      {
        value: (was) =>
          was
            .replace("[letterOf", "[...(origin.bytesMax === 0 ? [] : [letterOf")
            .replace("atMs),", "atMs)]),"),
      },
    ],
  },
  {
    name: "generation not in the letter",
    mistake: "a letter that fails in a later generation is written as one of the first",
    changes: [{ instead: "Math.max(Math.min(generation, 0), redriven?.order.generation ?? 0)" }],
    test: "scenario/letter-generations.test.ts",
  },
  {
    name: "generation not sent back",
    mistake: "a letter goes back without the generation in which it was sent",
    changes: ["omit"],
    test: "scenario/letter-generations.test.ts",
  },
  {
    name: "lineage ignores the undo",
    mistake: "an undo begins behind the promotion, whose letters and states then count on",
    changes: [{ value: "all.length" }],
    test: "scenario/letter-generations.test.ts",
  },
  {
    name: "range off by one",
    mistake: "a promotion says that its run began one record later",
    changes: [{ value: (was) => `(${was}) + 1n` }],
    test: "scenario/letter-generations.test.ts",
  },
  {
    name: "range without its end",
    mistake:
      "a reset that was put elsewhere before anybody read still ends the letters of its range",
    changes: [{ value: "later[-1 - i]?.[1].stopped ?? null" }],
    test: "scenario/letter-generations.test.ts",
  },
  {
    name: "superseded letter goes back",
    mistake: "a letter that waits in the redrive topic goes back though its record is read again",
    changes: [{ value: "place.generation < 0" }],
    test: "scenario/read-again.test.ts",
  },
  {
    name: "wall clock trusted",
    mistake: "a sink paces its commits by a wall clock that may be put back",
    changes: [{ value: "clock.now()" }],
  },
  {
    name: "span by the wall clock",
    near: 4240,
    mistake: "housekeeping counts its intervals by a wall clock that may be set",
    changes: [{ value: "() => clock.now()" }],
  },
  {
    name: "stopped while starting",
    test: "engine/runtime/stopped-start.test.ts",
    mistake: "a worker that was stopped before it had started joins its groups afterwards",
    changes: ["omit"],
  },
  {
    name: "own time",
    mistake: "what mapWithState tells of a late record has that record's own time",
    changes: ["omit"],
  },
  {
    name: "deleted time forgotten",
    near: 190,
    mistake: "a key that is deleted leaves nothing behind, so its next result may be older",
    changes: [{ value: "entry.value === null" }],
  },
  {
    name: "superseded is emitted",
    mistake: "a row that loses to a newer one counts as emitted",
    changes: ["omit"],
  },
  {
    name: "written by batch",
    near: 145,
    mistake: "rows that were collapsed under a newer one count as emitted, whatever stood there",
    changes: [{ value: "new Set<PreparedRow>()" }],
  },
  {
    name: "future taken",
    mistake: "a time that lies further ahead of Kafka's timestamp than its topic allows is taken",
    changes: [{ condition: "given > 1e14" }],
  },
  {
    name: "arrival moves time",
    near: 60,
    mistake: "a record without a usable time moves the time of its source by its Kafka timestamp",
    changes: [{ condition: "true" }],
  },
  {
    name: "late is on time",
    mistake: "distinct takes a record whose first it may have forgotten",
    changes: [{ value: "null" }],
  },
  {
    name: "window takes what is late",
    mistake: "a window that has closed begins anew for a record that comes late",
    changes: [{ value: "null" }],
  },
  {
    name: "closed window reopened",
    test: "engine/transform/late-windows.test.ts",
    mistake: "a window takes a record that is on time by its origin, after time has closed it",
    changes: [{ value: "null" }],
  },
  {
    name: "closed end forgotten",
    test: "scenario/changed-windows.test.ts",
    mistake: "a longer grace opens windows again that were closed",
    changes: ["omit"],
  },
  {
    name: "result given up in silence",
    test: "scenario/result-letters.test.ts",
    mistake: "a result of a window that a step behind cannot take is counted, and no letter",
    changes: ["omit"],
  },
  {
    name: "unreadable key stops the task",
    test: "scenario/unreadable-keys.test.ts",
    mistake: "a result whose key its schema no longer decodes has no letter: its task stops",
    changes: [{ condition: "true" }],
  },
  {
    name: "schema of a key not learnt",
    test: "scenario/unreadable-keys.test.ts",
    mistake: "the schema of a key is learnt with records only, and not for entries that are due",
    changes: ["omit"],
  },
  {
    name: "late result in no ledger",
    test: "scenario/late-results.test.ts",
    mistake: "a result of state that is late for an operator behind is counted nowhere",
    changes: [{ value: (was) => `${was}.slice(0, 0)` }],
  },
  {
    name: "due not found again",
    test: "engine/transform/due-in-pass.test.ts",
    mistake:
      "an entry that was due in a batch that began anew is forgotten until the next takeover",
    changes: ["omit"],
  },
  {
    name: "time before results",
    test: "engine/transform/due-in-pass.test.ts",
    mistake: "the results of a window meet an operator whose time has moved before them",
    changes: [{ value: "this.#watermarkAt(at, trail.index)" }],
  },
  {
    name: "results behind their own time",
    test: "scenario/chained-windows.test.ts",
    mistake:
      "what a marker alone makes due meets operators behind it that have the new time already",
    changes: [{ value: "Infinity" }],
  },
  {
    name: "delay of a window forgotten",
    test: "engine/transform/due-in-pass.test.ts",
    mistake: "the watermark behind a window is that in front of it",
    changes: [{ value: "0" }],
  },
  {
    name: "unheard writer left out",
    schedules: true,
    mistake: "the time behind a topic between parts is that of the tasks that were heard of",
    changes: [
      {
        value:
          "this.#watermarks.every((one) => one === NO_TIME) ? [NO_TIME] : this.#watermarks.filter((one) => one !== NO_TIME)",
      },
    ],
  },
  {
    name: "time of the fastest writer",
    schedules: true,
    mistake: "a marker of one task moves the time of all that write a topic",
    changes: [
      {
        instead:
          "if (before !== undefined) for (const [at, one] of this.#watermarks.entries()) this.#watermarks[at] = Math.max(one, watermark);",
      },
    ],
  },
  {
    name: "times of writers forgotten",
    schedules: true,
    mistake: "a new owner has heard of no task that writes its topics between parts",
    changes: [{ value: "timeOf(topic, { ...time, channels: [] })" }],
  },
  {
    name: "lateness by the task's own time",
    schedules: true,
    mistake:
      "behind a topic between parts a record is judged by the newest one that its task has read",
    changes: [
      { before: "Object.assign(this, { own: time });" },
      {
        instead: `if (!this.#isSource) {
          const { own } = this as unknown as { own: { ms?: number } | null };
          const ms = Math.max(own?.ms ?? NO_TIME, timestamp);
          if (own !== null) own.ms = ms;
          return withOrigin(record, ms);
        }`,
      },
    ],
  },
  {
    name: "one time a task",
    schedules: true,
    mistake: "operators of a task have one watermark, the least of all its inputs",
    changes: [
      {
        value:
          "new Map(this.#sources.flatMap((own) => [...own.keys()].map((source) => [source, 0] as const)))",
      },
    ],
  },
  {
    name: "shorter way counts",
    schedules: true,
    mistake: "behind ways of different delay the watermark has the delay of the shortest",
    changes: [{ instead: "delays.set(from, Math.min(delays.get(from) ?? Infinity, delay));" }],
  },
  {
    name: "late after the close",
    schedules: true,
    mistake: "a record is late when time has passed the close, though the window closes at it",
    changes: [{ condition: "record.originMs > lastMs + 1" }],
  },
  {
    name: "result with an age",
    schedules: true,
    mistake: "the origin time of a result lies behind the end of its window",
    changes: [{ value: (was) => was.replace("lastMs)", "lastMs, { originMs: lastMs + 3 })") }],
  },
  {
    name: "result as old as its newest record",
    schedules: true,
    mistake: "a result has the time of the newest record in its window",
    changes: [
      { instead: "this.#work.closed(recordKeyOf(bytes), content, entry.timestamp, views);" },
    ],
  },
  {
    name: "windows without the schema of their aggregate",
    test: "scenario/window-schemas.test.ts",
    mistake:
      "the aggregates of windows that lie in one entry are stored as JSON, whatever their schema",
    changes: [
      {
        value:
          '(of: SchemaFormat): SchemaFormat => of.kind === "tagged-json" ? of : { kind: "tagged-json" }',
      },
    ],
  },
  {
    name: "late for one is late for all",
    test: "scenario/hopping-windows.test.ts",
    mistake: "a record that is late for one of its windows is taken by none behind it",
    changes: [{ condition: "why === null && lateness === null" }],
  },
  {
    name: "late by the session that it would join",
    schedules: true,
    mistake: "a record is taken while the session is open that it would join, however old it is",
    changes: [
      {
        value: `latenessOf(
          item,
          lastOpenMs(window, {
            startMs: timestamp,
            endMs: Math.max(
              timestamp,
              ...sessionsOf(views.view(store.name).get(key)).sessions
                .filter((one) => one.startMs <= timestamp + window.gapMs && one.endMs >= timestamp - window.gapMs)
                .map(({ endMs }) => endMs),
            ),
            value: null,
          }),
        )`,
      },
    ],
  },
  {
    name: "late by the gap and the grace",
    schedules: true,
    mistake: "a record of a session may be older than the grace by the gap",
    changes: [
      {
        value:
          "({ gapMs, graceMs }: SessionWindow, timeMs: number): number => timeMs + gapMs + graceMs",
      },
    ],
  },
  {
    name: "session closed in its last ms",
    schedules: true,
    mistake: "a session closes while a record may still come that belongs to it",
    changes: [
      {
        value:
          '({ gapMs, graceMs }: SessionWindow, { endMs }: Pick<Session, "endMs">): number => endMs + gapMs + graceMs - 1',
      },
    ],
  },
  {
    name: "delay of a session without its gap",
    schedules: true,
    mistake: "the watermark behind sessions is held back by their grace alone",
    changes: [{ value: "(window: TimeWindow): number => window.graceMs" }],
  },
  {
    name: "window folded as records came",
    schedules: true,
    mistake: "a fold that depends on the order of records takes those of a window as they came",
    changes: [{ value: "records.toSorted((a, b) => 0 * byOrigin(a, b))" }],
  },
  {
    name: "delay of sliding windows forgotten",
    schedules: true,
    mistake: "the watermark behind sliding windows is that in front of them",
    changes: [
      {
        value: (was) => was.replace("=>", '=> window.kind === "sliding" ? 0 :'),
      },
    ],
  },
  {
    name: "window behind a record forgotten",
    mistake: "of sliding windows those are left out that begin behind a record",
    changes: [
      {
        value:
          "slides.some(({ timeMs, atMs }) => ownEndMs(window, timeMs) === endMs && atMs <= lastMs)",
      },
    ],
  },
  {
    name: "sliding window takes what is late",
    mistake: "a sliding window that is open by the watermark takes what is late by its origin",
    changes: [
      {
        instead: "return slides.filter(({ timeMs }) => timeMs >= startMs && timeMs <= endMs);",
      },
    ],
  },
  {
    name: "day by the clocks of the day before",
    near: 1290,
    mistake: "a day begins by the clocks of before, though they are set that night",
    changes: [{ condition: "true" }],
  },
  {
    name: "midnight that no clock shows",
    near: 900,
    mistake: "a day whose midnight is skipped begins within the day before",
    changes: [{ condition: "true" }],
  },
  {
    name: "made due two entries before",
    mistake:
      "of what is due together, only the entry before the next one may make another due in between",
    test: "scenario/order.test.ts",
    changes: [{ condition: "true" }],
  },
  {
    name: "delay of an order forgotten",
    mistake: "the watermark behind an order is that in front of it",
    changes: [{ instead: (was) => was.replace("delayMs: own", "delayMs: 0") }],
  },
  {
    name: "timers of an order by its watermark",
    mistake: "timers of a step with an order fire while records wait that are older",
    changes: [{ value: "[] as readonly string[]" }],
  },
  {
    name: "late of an order in silence",
    mistake: "what is late for an order is counted, and in no stream",
    changes: ["omit"],
  },
  {
    name: "timer over behind its handler",
    mistake: "a timer is over when its handler has returned, with what the handler has set",
    changes: [
      "omit",
      {
        after: "view.set(key as StateKey, timersEntry(others, record.context.timestamp));",
      },
    ],
  },
  {
    name: "one timer a key",
    mistake: "a timer takes the place of all others of its key",
    changes: [{ instead: "return [timer];" }],
  },
  {
    name: "wall clock ahead",
    mistake: "timers by the wall clock fire before their time",
    changes: [{ value: "this.#options.now() + 400" }],
  },
  {
    name: "wall clock without an alarm",
    near: 300,
    mistake: "a task that has nothing to read does not wake up for its timers by the wall clock",
    changes: ["omit"],
  },
  {
    name: "first change goes on",
    mistake: "of the changes within a span the first one goes on",
    changes: [{ value: (was) => `before !== null ? (before.value as Waiting) : ${was}` }],
  },
  {
    name: "room of a key that went on",
    mistake: "a key that has gone on takes up room among those that wait",
    changes: ["omit"],
  },
  {
    name: "delay of suppress forgotten",
    mistake: "the watermark behind suppress is that in front of it",
    changes: [{ instead: (was) => was.replace("delayMs: spanMs", "delayMs: 0") }],
  },
  {
    name: "window from the record that came first",
    mistake: "a count window begins with the record that came first, though an older one is in it",
    changes: [{ value: "[from === Infinity ? timestamp : from, Math.max(to, timestamp)]" }],
  },
  {
    name: "join takes what is late",
    mistake: "a join takes a record that is older than its grace",
    changes: [{ value: "null" }],
  },
  {
    name: "partner not noted",
    mistake: "a record of an outer side is emitted alone, though it has found a partner",
    changes: [{ value: "chunk.records" }],
  },
  {
    name: "chunk forgotten",
    test: "engine/transform/stream-join.test.ts",
    mistake: "the list of a key's records does not say that it has another chunk",
    changes: ["omit"],
  },
  {
    name: "origin time of a pair",
    test: "scenario/stream-joins.test.ts",
    mistake: "a pair has the origin time of the record that came last",
    changes: [{ value: "record.originMs" }],
  },
  {
    name: "delay of a join forgotten",
    test: "scenario/stream-joins.test.ts",
    mistake: "the watermark behind an outer join is that in front of it",
    changes: [{ value: "0" }],
  },
  {
    name: "moved timer fires",
    schedules: true,
    mistake: "an entry that was found due is worked, though another one has put it off meanwhile",
    changes: [{ condition: "true" }],
  },
  {
    name: "larger side forgotten",
    schedules: true,
    mistake: "the watermark behind an outer join stays behind by the span of its left side alone",
    changes: [{ value: (was) => was.replace("Math.max", "Math.min") }],
  },
  {
    name: "age left behind",
    mistake: "a record that another part has sent loses its age",
    changes: [{ value: "{ ...takenAge(raw.headers), ageMs: 0 }" }],
  },
  {
    name: "fetched is worked",
    mistake:
      "a source is quiet where it was fetched to its end, though records of it wait in the task",
    changes: [{ condition: "clock === undefined" }],
    test: "engine/source/quiet.test.ts",
  },
  {
    name: "quiet at once",
    mistake: "a source is quiet as soon as it was read to its end",
    changes: ["omit"],
    test: "engine/source/quiet.test.ts",
  },
  {
    name: "quiet is now",
    mistake: "the time of a quiet source is the wall clock, not so much behind it",
    changes: [{ value: "sent.wallMs" }],
    test: "engine/source/quiet.test.ts",
  },
  {
    name: "outage is quiet",
    mistake: "what an outage of the broker kept back comes to a source that counts as quiet",
    changes: ["omit"],
    test: "engine/source/quiet.test.ts",
  },
  {
    name: "writer not walked",
    mistake: "a topic of a pipeline is quiet although its writer has not worked what it was sent",
    changes: [{ condition: "low > high" }],
    test: "scenario/written-windows.test.ts",
  },
  {
    name: "windows of a writer forgotten",
    mistake: "a topic of a pipeline is quiet although windows of its writer are still to close",
    changes: [{ value: (was) => `Math.max(END_OF_TIME, ${was})` }],
    test: "scenario/written-windows.test.ts",
  },
  {
    name: "time of a writer not committed",
    mistake:
      "a writer that has nothing to do keeps its time to itself, so its readers wait for ever",
    changes: [{ condition: "isInterval || !this.#isFollowed || !inputs.hasAsserted" }],
    test: "scenario/written-windows.test.ts",
  },
  {
    name: "letter as young as its record",
    mistake: "a letter goes back without the origin time that its record had",
    changes: ["omit"],
    test: "scenario/letter-times.test.ts",
  },
  {
    name: "marker before records",
    mistake: "the watermarks of a checkpoint are sent in front of its records",
    changes: [{ before: "...markers," }, "omit"],
  },
  {
    name: "marker before what is due",
    near: 118,
    schedules: true,
    mistake: "a checkpoint says a watermark while windows that it has closed were not emitted yet",
    changes: [{ value: "program.watermark(at, this.#times)" }],
  },
  {
    name: "marker to one partition",
    mistake: "a watermark goes to the first partition of a topic alone",
    changes: [{ value: "{ partitions: 1 }" }],
  },
  {
    name: "conflict is a repeat",
    mistake: "a repeat with other content is dropped like any other",
    changes: ["omit"],
  },
  {
    name: "tombstone keeps state",
    mistake: "a tombstone that a step takes leaves the state of its key",
    changes: [
      {
        value:
          "settled(isTaken ? { ...onTombstone(state, record), state } : map(state, value, record))",
      },
    ],
  },
  {
    name: "index left behind",
    mistake: "a copy takes values, and moves its position, without the index of what is due",
    changes: ["omit"],
  },
  {
    name: "fired twice after a takeover",
    mistake: "an entry that is deleted, or due no longer, stays in the copy's index",
    changes: ["omit"],
  },
  {
    name: "index lost on rename",
    mistake: "a copy that was made anew takes the place of the old one without its index",
    changes: [{ instead: "this.#contents = { ...contents, index: new DueIndex() };" }],
  },
  {
    name: "rebuilt without index",
    mistake: "changes that are read from the changelog bring no due with them",
    changes: [{ value: "{ key, value, offset, timestamp, dueMs: null }" }],
  },
  {
    name: "index read unchecked",
    // A copy is asked less often than the simulation would need.
    test: "engine/state/due.test.ts",
    mistake: "the index of a copy is used wherever the copy stands",
    changes: [{ condition: "false" }],
  },
  {
    name: "window before the epoch",
    test: "scenario/semantics-windows.test.ts",
    mistake: "the calendar's first window begins before 1970, where no key can say its start",
    changes: [{ instead: (was) => was.replace("Math.max(0, ", "(") }],
  },
  {
    name: "offset without times taken",
    test: "scenario/foreign-progress.test.ts",
    mistake:
      "a task whose windows close by time goes on from an offset that has no times beside it",
    changes: [{ value: "false as boolean" }],
  },
  {
    name: "damaged progress taken",
    test: "scenario/foreign-progress.test.ts",
    mistake:
      "a task goes on where the metadata beside its progress cannot be read, and counts anew in silence",
    changes: [{ value: "null as string | null" }],
  },
  {
    name: "redrive without proof",
    mistake: "a record of the redrive topic is let in by its headers alone",
    changes: [{ value: "order !== null" }],
  },
  {
    name: "false index believed",
    test: "engine/state/damage.test.ts",
    mistake: "a key is due because the copy's index says so, whatever its entry says",
    changes: [{ condition: "true" }],
  },
  {
    name: "changes in memory not due",
    mistake: "an entry is due only when its checkpoint is on its way to the copy",
    changes: ["omit"],
  },
  {
    name: "put off in vain",
    mistake: "a key is due by the copy's index, whatever has changed it since",
    changes: ["omit"],
  },
  {
    name: "fired out of order",
    mistake: "what is due in memory comes behind what is due in the copy",
    changes: [{ value: "[...ofCopy.keys, ...due]" }],
  },
  {
    name: "first keys let go",
    // No cache of the simulation makes room between two loads of one batch.
    test: "engine/state/due.test.ts",
    mistake: "a second load of one batch takes the keys of the first out of its hand",
    changes: [{ instead: "this.#inHand = [keys];" }],
  },
  {
    name: "old windows taken for new",
    mistake:
      "a new owner takes every window that it has not made itself for one that nobody has made",
    changes: [{ value: "-Infinity" }],
  },
  {
    name: "evicted window taken for new",
    // No cache of the simulation makes room while windows of one time are open.
    test: "engine/state/absent.test.ts",
    mistake: "a window that made room in memory is taken for one that nobody has made",
    changes: [{ condition: "false" }],
  },
  {
    name: "last due read unchecked",
    test: "engine/state/absent.test.ts",
    mistake: "a copy says what is due in it at last, wherever it stands",
    changes: [{ condition: "last !== null" }],
  },
  {
    name: "reference not awaited",
    mistake: "the other topics of a task are read while it loads its reference topics",
    changes: [{ value: "[] as TopicName[]" }],
  },
  {
    name: "loading forgotten",
    mistake: "who takes over a task in the midst of its loading reads all its topics at once",
    changes: [{ instead: "return { loadTo: null };" }],
  },
  {
    name: "loading not committed",
    mistake: "progress of a reference topic does not say to which end it is loaded first",
    changes: [{ value: "null" }],
  },
  {
    name: "timer before its due",
    near: 200,
    mistake: "a timer counts as due a ms too soon",
    changes: [{ value: (was) => was.replace("first[1] - 1", "first[1] - 2") }],
  },
  {
    name: "cancelled timer fires",
    mistake: "a timer that is cancelled, or set again, stays where it was too",
    changes: [{ value: "timers" }],
  },
  {
    name: "past timer before its record",
    mistake: "a timer that is set for what has passed fires in front of the record that has set it",
    changes: [{ value: "Math.min(this.#at, from)" }],
  },
  {
    name: "suppressed for ever",
    mistake: "each change of a key puts off the end of its span",
    changes: [{ value: "[timestamp, 0] as Waiting" }],
  },
  {
    name: "window of one record more",
    mistake: "a count window is full one record too late",
    changes: [{ value: "before >= window.size" }],
  },
  {
    name: "order takes what is late",
    mistake: "a record that is older than the grace is put into the order",
    changes: [{ value: "latenessOf(item, Infinity)" }],
  },
  {
    name: "waiting record given up",
    mistake: "a record that fails when its order comes is counted, and is in no letter",
    changes: [{ value: (was) => was.replace("records.map", "records.slice(1).map") }],
    test: "scenario/order-letters.test.ts",
  },
  {
    name: "failed timer given up",
    mistake: "a timer whose handler fails is counted, and is in no letter",
    changes: [{ value: (was) => was.replace("timers.slice(0,", "timers.slice(1,") }],
    test: "scenario/due-letters.test.ts",
  },
  {
    name: "record without a partner given up",
    mistake: "the letter of a record without a partner whose joiner fails does not have the record",
    changes: [{ value: "[]" }],
    test: "scenario/due-letters.test.ts",
  },
  {
    name: "timers behind records of one time",
    mistake: "of one time, records of an order come before the timers of its step",
    changes: [{ value: "[store.name, ...innerDues(inner)]" }],
  },
  {
    name: "origin left behind",
    test: "scenario/order.test.ts",
    mistake: "a record that another part has sent counts as one of the topic between them",
    changes: [{ condition: (was) => `${was} && raw.offset < 0n` }],
  },
  {
    name: "pair placed by its newer record",
    mistake: "of one time, results of a join are in the order of the records that came second",
    changes: [{ condition: (was) => `${was} && raw.offset < -1n` }],
    test: "scenario/order-ties.test.ts",
  },
  {
    name: "records of one origin not numbered",
    mistake: "of one time, what was made of one record is in the order in which it came",
    changes: [{ value: "numbers([before * 0])" }],
    test: "scenario/order-ties.test.ts",
  },
  {
    name: "new channel lets time fall",
    mistake: "behind a topic between parts the watermark is none until a new task is heard of",
    changes: [{ value: (was) => was.replace("unheard", "NO_TIME") }],
    test: "scenario/new-partitions.test.ts",
  },
  {
    name: "new channel not waited for",
    near: 98,
    mistake:
      "a task of a partition that came later counts as one that has ended until it is heard of",
    changes: [{ value: "stored.length > 0 ? END_OF_TIME : NO_TIME" }],
    schedules: true,
  },
  {
    name: "new partition from where the pipeline begins",
    mistake:
      "a partition that came later is read from its end where the pipeline begins at the end",
    changes: [{ value: "false" }],
    test: "scenario/new-partitions.test.ts",
  },
  {
    name: "full key takes more",
    mistake:
      "a record that would open one window more than the bound evicts the oldest, whatever the rule says",
    changes: [{ before: "return;" }],
    test: "scenario/window-bounds.test.ts",
  },
  {
    name: "closed window counts as open",
    mistake: "a window that is closed still takes room of its key",
    changes: ["omit"],
    test: "scenario/window-bounds.test.ts",
  },
  {
    name: "evicted window not counted",
    mistake: "a window that goes ahead of its time is in no count",
    changes: ["omit"],
  },
  {
    name: "eviction of a failed record counts",
    mistake: "a window that a failed record has let go is counted, though it stays where it was",
    changes: ["omit"],
    test: "scenario/window-bounds.test.ts",
  },
  {
    name: "evicted session begins anew",
    mistake: "a record of a session that has made room begins it once more, when there is room",
    changes: ["omit"],
    test: "scenario/window-bounds.test.ts",
  },
  {
    name: "older record evicts a newer one",
    mistake:
      "a record that is older than all times of a full key takes the place of the oldest in sliding windows",
    changes: ["omit"],
    test: "scenario/window-bounds.test.ts",
  },
  {
    name: "newcomer goes on",
    mistake: "of one key more than a suppress has room for the newest goes on, not the oldest",
    changes: [{ instead: (was) => was.replace("first", "item.key as StateKey") }],
    test: "scenario/suppress.test.ts",
  },
  {
    name: "merged session not withdrawn",
    mistake: "on update a session that another one has taken in stays what it was",
    changes: ["omit"],
    test: "scenario/session-updates.test.ts",
  },
  {
    name: "record kept for ever in its count",
    mistake: "records that a join has let go still take room of their key",
    changes: ["omit"],
    test: "scenario/record-bounds.test.ts",
  },
];
