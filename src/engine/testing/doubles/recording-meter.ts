// A meter that keeps every series, for tests to ask by name and labels. Given a catalogue, it refuses what a real meter
// would refuse.
import { assertSeries } from "../../core/metric.ts";
import type { Labels, Meter, MetricSpec } from "../../core/ports.ts";

interface Series<T> {
  readonly name: string;
  readonly labels: Labels;
  value: T;
}

export class RecordingMeter implements Meter {
  readonly #counters = new Map<string, Series<number>>();
  readonly #gauges = new Map<string, Series<number>>();
  readonly #observations = new Map<string, Series<number[]>>();
  readonly #specs: ReadonlyMap<string, MetricSpec> | null;

  constructor(catalogue: readonly MetricSpec[] | null = null) {
    this.#specs = catalogue && new Map(catalogue.map((spec) => [spec.name, spec]));
  }

  #check(name: string, labels: Labels): void {
    if (this.#specs !== null) assertSeries(this.#specs.get(name), name, labels);
  }

  count(name: string, labels: Labels, by: number = 1): void {
    this.#check(name, labels);
    seriesOf(this.#counters, { name, labels, value: 0 }).value += by;
  }

  gauge(name: string, labels: Labels, value: number): void {
    this.#check(name, labels);
    seriesOf(this.#gauges, { name, labels, value }).value = value;
  }

  observe(name: string, labels: Labels, value: number): void {
    this.#check(name, labels);
    seriesOf(this.#observations, { name, labels, value: [] as number[] }).value.push(value);
  }

  forget(labels: Labels): void {
    for (const [id, series] of this.#gauges) if (has(series, labels)) this.#gauges.delete(id);
  }

  /** The sum of a counter over all series with these labels. */
  counter(name: string, labels: Labels = {}): number {
    return found(this.#counters, name, labels).reduce((sum, series) => sum + series.value, 0);
  }

  /** The values of a gauge's series with these labels, none after `forget`. */
  gauges(name: string, labels: Labels = {}): readonly number[] {
    return found(this.#gauges, name, labels).map((series) => series.value);
  }

  /** The observed values, series by series. */
  observations(name: string, labels: Labels = {}): readonly number[] {
    return found(this.#observations, name, labels).flatMap((series) => series.value);
  }
}

function seriesOf<T>(all: Map<string, Series<T>>, fresh: Series<T>): Series<T> {
  const labels = Object.entries(fresh.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const id = JSON.stringify([fresh.name, labels]);
  const series = all.get(id) ?? { ...fresh, labels: { ...fresh.labels } };
  all.set(id, series);
  return series;
}

const has = (series: { readonly labels: Labels }, labels: Labels): boolean =>
  Object.entries(labels).every(([name, value]) => series.labels[name] === value);

const found = <T>(all: Map<string, Series<T>>, name: string, labels: Labels): Series<T>[] =>
  [...all.values()].filter((series) => series.name === name && has(series, labels));
