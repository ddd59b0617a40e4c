// The directions that imports may take: rooms are strangers, one hallway joins them (ARCHITECTURE.md).
const engine = "^src/engine/";
const rooms = ["source", "decode", "transform", "state", "sinks", "checkpoint", "letters"];
/** Rooms that read what a pipeline has noted of itself. */
const readers = ["source", "letters"];
const strangers = rooms.map((room) => ({
  name: `strangers-${room}`,
  comment: "Rooms never import each other; runtime/ hands values from one to the next.",
  severity: "error",
  from: { path: `${engine}${room}/` },
  to: {
    path: `${engine}(?!${room}/|core/|clients/${readers.includes(room) ? "|notes/" : ""})`,
  },
}));

const drivers = "(^|node_modules/)(@types/)?(kafkajs|@kafkajs|ioredis|pg|prom-client|pino)(/|$)";
// Built-in modules come here without their node: prefix.
const outside =
  "^(net|tls|dns|http|https|http2|fs|timers|child_process|worker_threads|perf_hooks)(/|$)";
const notKebabCase = "^(src|topics|schemas|test)/.*[^a-z0-9./-]";

export default {
  forbidden: [
    ...strangers,
    {
      name: "core-imports-nothing",
      severity: "error",
      from: { path: `${engine}core/` },
      to: { pathNot: `${engine}core/|^(crypto|buffer|path|util|events|assert)$` },
    },
    {
      name: "notes-import-core",
      comment: "Notes lie below the rooms, since a room and a command read the same ones.",
      severity: "error",
      from: { path: `${engine}notes/` },
      to: { path: `${engine}(?!notes/|core/)` },
    },
    {
      name: "observe-and-clients-import-core",
      severity: "error",
      from: { path: `${engine}(observe|clients)/` },
      to: { path: `${engine}(?!observe/|clients/|core/)` },
    },
    {
      name: "clients-know-no-room",
      severity: "error",
      from: { path: `${engine}clients/` },
      to: { path: `${engine}observe/` },
    },
    {
      name: "define-imports-core",
      severity: "error",
      from: { path: `${engine}define/`, pathNot: `${engine}define/operators/` },
      to: { path: `${engine}(?!define/|core/)` },
    },
    {
      name: "operators-name-their-work",
      severity: "error",
      from: { path: `${engine}define/operators/` },
      to: { path: `${engine}(?!define/|core/|transform/)` },
    },
    {
      name: "pure-rooms",
      comment: "decode and transform are pure: no clients, no network, no clock.",
      severity: "error",
      from: { path: `${engine}(decode|transform)/` },
      to: { path: `${engine}clients/|${outside}|${drivers}` },
    },
    {
      name: "drivers-only-in-clients",
      severity: "error",
      from: { path: "^src/", pathNot: `${engine}clients/|^src/stack/` },
      to: { path: drivers },
    },
    {
      name: "front-door",
      comment: "Pipelines, tables and topics see the engine through #engine alone.",
      severity: "error",
      from: { path: "^(topics|schemas|src/tables|src/pipelines)/" },
      to: { path: engine, pathNot: `${engine}index\\.ts$` },
    },
    {
      name: "index-is-definitions",
      severity: "error",
      from: { path: `${engine}index\\.ts$` },
      to: { path: `${engine}(?!core/|define/)` },
    },
    {
      name: "hallways-are-strangers",
      severity: "error",
      from: { path: `${engine}runtime/` },
      to: {
        path: `${engine}(reprocess|provision|operate|letters/commands|testing)/|^src/(cli|demo|stack|pipelines)/`,
      },
    },
    {
      name: "operating-runs-nothing",
      comment: "Commands read and mend what workers left behind.",
      severity: "error",
      from: { path: `${engine}operate/` },
      to: {
        path: `${engine}(runtime|reprocess|provision|testing|observe)/|^src/(cli|demo|stack|pipelines)/`,
      },
    },
    {
      name: "reprocessing-joins-the-engine",
      comment:
        "Runs are made of the engine's own pieces; commands and test doubles are not among them.",
      severity: "error",
      from: { path: `${engine}reprocess/` },
      to: { path: `${engine}testing/|^src/(cli|data|demo|stack|pipelines)/` },
    },
    {
      name: "rooms-know-no-runs",
      severity: "error",
      from: { path: `${engine}(provision|observe|clients|define)/` },
      to: { path: `${engine}reprocess/` },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-folder-cycles",
      comment: "Of two folders one lies below the other, also where only types are imported.",
      severity: "error",
      scope: "folder",
      from: { path: engine },
      to: { path: engine, circular: true },
    },
    // Three rules for one habit: a file is seen as the source of an import, as its target, or alone.
    { name: "kebab-case-source", severity: "error", from: { path: notKebabCase }, to: {} },
    { name: "kebab-case-target", severity: "error", from: {}, to: { path: notKebabCase } },
    {
      name: "kebab-case-alone",
      severity: "error",
      from: { orphan: true, path: notKebabCase },
      to: {},
    },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, pathNot: "\\.d\\.ts$|^test/|^topics/|^schemas/" },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
