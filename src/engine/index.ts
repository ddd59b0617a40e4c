// The front door, "#engine": everything a topic, a table or a pipeline may import, in the order that records flow.
export { avro, bytes, json, long, nullable, string } from "./define/schema.ts";
export type { Schema } from "./core/schema.ts";
export { decimal, type Decimal } from "./core/decimal.ts";
export { topic, type Topic, type TopicSource, type TopicTarget } from "./define/topic.ts";
export { pipeline, type Pipeline, type PipelineOptions } from "./define/pipeline.ts";
export { resource, type Resource, type ResourceOptions } from "./define/calls/resource.ts";
export type { RetryOptions } from "./define/calls/retry.ts";
export type { Orderable, OrderOptions } from "./define/windows.ts";
export type { Stream } from "./define/stream.ts";
export type {
  ConflictOptions,
  DistinctOptions,
  KeyPart,
} from "./define/operators/keyed/distinct.ts";
export type {
  AggregateOptions,
  Aggregation,
  GroupedStream,
} from "./define/operators/keyed/aggregate.ts";
export {
  calendar,
  countWindow,
  hopping,
  session,
  sliding,
  tumbling,
  type CalendarOptions,
  type CountWindowOptions,
  type HoppingOptions,
  type SessionWindowOptions,
  type SlidingOptions,
  type TumblingOptions,
  type WindowOf,
} from "./define/windows.ts";
export type {
  Windowed,
  WindowAggregation,
  WindowedStream,
  WindowedTable,
  WindowOptions,
} from "./define/operators/windows/windowed.ts";
export type { JoinedStream, JoinOptions } from "./define/operators/joins/stream-join.ts";
export type { StateOptions, StateStep } from "./define/operators/keyed/map-with-state.ts";
export type {
  ProcessContext,
  ProcessHandlers,
  ProcessRecord,
  ProcessTimer,
} from "./define/operators/keyed/process.ts";
export type { SuppressOptions } from "./define/operators/keyed/suppress.ts";
export type { Table } from "./define/operators/keyed/table.ts";
export type { Call, CallOptions } from "./define/operators/calls/map-async.ts";
export { postgresTable, type PostgresTable, type RowTarget } from "./define/table.ts";
export type { HaltWhen } from "./define/plan/halt-when.ts";
export {
  days,
  hours,
  milliseconds,
  minutes,
  percent,
  records,
  seconds,
  type Duration,
  type RecordCount,
  type Share,
} from "./core/span.ts";
export type { RecordContext } from "./core/record.ts";
