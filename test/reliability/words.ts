// What the report says that no run can: promises, what was learnt, and where promises end.

export const promises: readonly (readonly [promise: string, shownBy: string])[] = [
  [
    "Every input record has exactly one outcome, and the ledger balances (I1)",
    "every chaos run and seed; `millrace ledger check`",
  ],
  [
    "Nothing is lost, nothing takes effect twice (I2, I3)",
    "every chaos run and seed, against naive programs",
  ],
  ["Records of one key keep their order (I4)", "running sums in chaos; every seed"],
  [
    "Aggregates are exact, to the cent (I5)",
    "every chaos run and seed; `npm run test:long` over real lines",
  ],
  [
    "A bad record is exactly one dead letter, with its own bytes (I6)",
    "chaos rows 26 and 29 to 32",
  ],
  [
    "A worker that was replaced writes nothing more (I7)",
    "chaos row 3; frozen workers in the simulation",
  ],
  ["Committed progress goes back by a command only (I8)", "every chaos run and seed"],
  [
    "Nothing gets stuck: sentinels pass every partition, lag ends at 0 (I9)",
    "every chaos run; the check “stuck” of the simulation",
  ],
  ["Memory, files and queues stay bounded (I11)", "every chaos run"],
  [
    "A planned fault has struck, or the run fails (I13)",
    "every chaos run; floors in the test of the simulation",
  ],
  [
    "After a kill its partitions go on within the session and 2 s (I14)",
    "`takeover-time.test.ts`; recovery below",
  ],
];

export const lessons: readonly string[] = [
  "A takeover that was given up could still commit its first start: tasks stopped with MILL_SOURCE_PROGRESS_LOST, or records were doubled after a crash. Found by chaos and by the simulation on the same day.",
  "kafkajs counts a socket that is open as a broker that answers: with one of three brokers standing still, tasks stopped for good.",
  "Who was fenced took over again at once under the old generation, in a hot loop, until the next heartbeat.",
  "A worker that was stopped while it started joined its groups afterwards, with nobody left to make it leave.",
  "A wall clock that was put back held up a sink's commits for as long as the jump.",
  "A table's partition was resumed a moment before its task was there: a batch that came at once was dropped, and waited for the next one. Found at seeds 22675, 61313 and 69485; no real fetch is that fast.",
  "When a topic got more partitions, `topics apply` refused, since the pipeline's own topics had fewer, and workers did not start: no way led on (chaos, seed 2211).",
  "Who left a group while its coordinator moved stayed a member until its session ended (chaos, seed 101).",
  "A halt that was learnt after a rebalance paused the successor's partition on the same worker.",
  "A worker's own open transaction held up its next takeover until it timed out; a refused commit left one open when the worker left.",
  "A frozen worker kept its table's progress row locked until the server noticed, after a minute.",
  "Tombstones moved stream time; a value that could not be written stopped its task instead of becoming a letter; a schema id could expire in mid-batch.",
  "Mistakes of the judges: one compared order by customer where the key was another (chaos, seed 11, first run), one expected an order between records without a key from two topics (simulation, seed 6680), one wrote into a topic that not every broker knew to be deleted yet (chaos, seed 11, second run: a letter went with its topic), one let a worker that had died join its group (simulation, seed 92742).",
];

export const notPromised: readonly string[] = [
  "Rows of a table and records of a topic become visible each by their own commit: there is no one moment for both.",
  "Readers that do not read committed see what may be taken back.",
  "Callbacks must be pure and quick: one that changes its state in place, or never returns, is not undone.",
  "A value that somebody changes inside a copy in Redis is found by `millrace state verify` only.",
  "What is written to a topic that is being deleted goes with it.",
  "A machine that sleeps for days in the middle of a roll-forward: deletions may be forgotten under it. A takeover after it is safe.",
];

/** What was found behind runs that failed, by seed. */
export const verdicts: Readonly<Record<number, string>> = {
  11: "A refused record had come before row 46 began, and its letter went with the topic that the row deletes: the scenario has none before now.",
  49: "The flow was right. Row 46: since a missing topic pauses its tasks, workers say so, and the row took those lines for a surprise. It expects them now, and was played again with seed 490.",
  101: "The command of row 39 was refused, since a worker that had left was still a member of its group (mended); its flow was given up half-way, and judged all the same. That is where what is lost and doubled comes from.",
  2211: "Row 37: workers that declared six partitions refused to start, since the redrive topic had four, and `topics apply` refused to widen it (mended); the flow was judged all the same. Row 46 as with seed 11. Both were played again with seed 2213.",
};
