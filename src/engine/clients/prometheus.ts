// The meter over prom-client. A name or a label that the catalogue does not have is an InvariantError, so a typing error shows
// in the first test and not as an empty panel. Several processes: children send `snapshot()`, the parent renders all.
import prometheus from "prom-client";
import { assert } from "../core/errors.ts";
import { assertSeries } from "../core/metric.ts";
import type { Labels, Meter, MetricSpec } from "../core/ports.ts";

/** The series of one process as plain data, fit for IPC. */
export type MeterSnapshot = Awaited<ReturnType<prometheus.Registry["getMetricsAsJSON"]>>;

export interface PrometheusMeter extends Meter {
  /** Adds process, event-loop and garbage-collection metrics, `millrace_build_info` and `millrace_up`. */
  describeProcess(build: { readonly version: string; readonly node: string }): void;
  /** Prometheus' text exposition format, version 0.0.4. */
  render(): Promise<string>;
  snapshot(): Promise<MeterSnapshot>;
}

type Instrument = prometheus.Counter | prometheus.Gauge | prometheus.Histogram;
type Common = Pick<
  Required<prometheus.CounterConfiguration<string>>,
  "name" | "help" | "labelNames" | "registers" | "aggregator"
>;
interface MetricEntry {
  readonly spec: MetricSpec;
  readonly instrument: Instrument;
  /** Label sets in use, by their values in the catalogue's order; gauges only. */
  readonly series: Map<string, Labels>;
}

/** These figures are 9.2e9 s, or no number at all, where two scrapes lie closer than the loop's pulse. */
const UNSOUND = ["min", "mean", "stddev"].map((what) => `nodejs_eventloop_lag_${what}_seconds`);

/** A meter with a registry of its own, so that two can live in one process. */
export function prometheusMeter(catalogue: readonly MetricSpec[]): PrometheusMeter {
  const registry = new prometheus.Registry();
  const entries = new Map(catalogue.map((spec) => [spec.name, entryOf(spec, registry)]));
  for (const entry of entries.values()) startAtZero(entry);
  const meter: Meter = {
    count: (name, labels, by = 1) => {
      asType(find(entries, name, labels), prometheus.Counter, "counter").inc(labels, by);
    },
    gauge: (name, labels, value) => {
      const entry = find(entries, name, labels);
      gaugeOf(entry).set(labels, value);
      entry.series.set(keyOf(entry.spec, labels), labels);
    },
    observe: (name, labels, value) => {
      asType(find(entries, name, labels), prometheus.Histogram, "histogram").observe(labels, value);
    },
    forget: (labels) => {
      assert(Object.keys(labels).length > 0, "forget() without labels would forget everything");
      for (const entry of entries.values()) forgetIn(entry, labels);
    },
  };
  return {
    ...meter,
    describeProcess: (build) => {
      prometheus.collectDefaultMetrics({ register: registry });
      for (const name of UNSOUND) registry.removeSingleMetric(name);
      meter.gauge("millrace_build_info", build, 1);
      meter.gauge("millrace_up", {}, 1);
    },
    render: () => registry.metrics(),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}

/** The metrics of several processes as one text: summed, or as the catalogue's `together` says. */
export const aggregate = (snapshots: readonly MeterSnapshot[]): Promise<string> =>
  prometheus.AggregatorRegistry.aggregate([...snapshots]).metrics();

function entryOf(spec: MetricSpec, registry: prometheus.Registry): MetricEntry {
  const { name, help } = spec;
  const labelNames = Object.keys(spec.labels);
  const common = { name, help, labelNames, registers: [registry], aggregator: spec.together };
  return { spec, instrument: instrumentOf(spec, common), series: new Map() };
}

function instrumentOf(spec: MetricSpec, common: Common): Instrument {
  if (spec.type === "counter") return new prometheus.Counter(common);
  if (spec.type === "gauge") return new prometheus.Gauge(common);
  assert(spec.buckets !== undefined, `${spec.name} is a histogram without buckets`);
  return new prometheus.Histogram({ ...common, buckets: [...spec.buckets] });
}

/** Starts known values of a counter's only label at 0: to Prometheus a counter that begins at 1 shows no increase. */
function startAtZero({ spec, instrument }: MetricEntry): void {
  if (!(instrument instanceof prometheus.Counter)) return;
  const [label, ...more] = Object.entries(spec.labels);
  if (label === undefined || more.length > 0 || label[1] === "open") return;
  for (const value of label[1]) instrument.inc({ [label[0]]: value }, 0);
}

function find(
  entries: ReadonlyMap<string, MetricEntry>,
  name: string,
  labels: Labels,
): MetricEntry {
  const entry = entries.get(name);
  assertSeries(entry?.spec, name, labels);
  return entry as MetricEntry;
}

/** The instrument, if the metric is of the type that the call is for. */
function asType<T extends Instrument>(
  { spec, instrument }: MetricEntry,
  Type: abstract new (...args: never[]) => T,
  type: MetricSpec["type"],
): T {
  assert(instrument instanceof Type, `${spec.name} is a ${spec.type}, no ${type}`);
  return instrument;
}

const gaugeOf = (entry: MetricEntry): prometheus.Gauge => asType(entry, prometheus.Gauge, "gauge");

const keyOf = (spec: MetricSpec, labels: Labels): string =>
  JSON.stringify(Object.keys(spec.labels).map((name) => labels[name]));

function forgetIn(entry: MetricEntry, labels: Labels): void {
  const wanted = Object.entries(labels);
  for (const [key, series] of entry.series) {
    if (!wanted.every(([name, value]) => series[name] === value)) continue;
    gaugeOf(entry).remove(series);
    entry.series.delete(key);
  }
}
