// Which way imports may point: rooms are strangers, one hallway joins them (ARCHITECTURE.md).
const engine = "^src/engine/";
const rooms = ["source", "decode", "transform", "state", "sinks", "checkpoint"];
const strangers = rooms.map((room) => ({
  name: `strangers-${room}`,
  comment: "Rooms never import each other; runtime/ hands values from one to the next.",
  severity: "error",
  from: { path: `${engine}${room}/` },
  to: { path: `${engine}(?!${room}/|core/|clients/)` },
}));

export default {
  forbidden: [
    ...strangers,
    {
      name: "core-imports-nothing",
      severity: "error",
      from: { path: `${engine}core/` },
      to: { pathNot: `${engine}core/|^node:|^(crypto|buffer|path|util|events|assert)$|big\\.js` },
    },
    {
      name: "define-imports-core",
      severity: "error",
      from: { path: `${engine}define/` },
      to: { path: `${engine}(?!define/|core/)` },
    },
    {
      name: "pure-rooms",
      comment: "decode and transform are pure: no clients, no network, no clock.",
      severity: "error",
      from: { path: `${engine}(decode|transform)/` },
      to: { path: `${engine}clients/|^node:(net|http|https|fs|timers)|kafkajs|ioredis|^pg$` },
    },
    {
      name: "drivers-only-in-clients",
      severity: "error",
      from: { path: "^src/", pathNot: `${engine}clients/|^src/stack/` },
      to: { path: "node_modules/(kafkajs|@kafkajs|ioredis|pg|prom-client|pino)/" },
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
        path: `${engine}(reprocess|provision|letters|testing)/|^src/(cli|demo|stack|pipelines)/`,
      },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "kebab-case",
      severity: "error",
      from: {
        path: "^(src|topics|test)/",
        pathNot: "^(src|topics|test)/(?:[a-z0-9-]+/)*[a-z0-9.-]+\\.ts$",
      },
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
