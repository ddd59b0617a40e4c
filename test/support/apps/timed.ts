// Everything that waits for event time, over two topics keyed by visitor: views of a page by windows, behind a repartition topic;
// stays as sessions; visits joined with their payments; departures by timers, in the order of time; visits of a visitor,
// suppressed. Each ends in a table of one row for each result. TEST_TOPICS goes before the names, so that two runs never meet on one
// stack; TEST_SIZE, TEST_GAP and TEST_GRACE are spans in milliseconds, as another deploy would set them.
import {
  avro,
  json,
  milliseconds,
  pipeline,
  postgresTable,
  records,
  session,
  string,
  topic,
  tumbling,
  type Pipeline,
  type PostgresTable,
  type Topic,
} from "#engine";

export interface Visit {
  readonly id: string;
  readonly page: string;
  /** Epoch ms. */
  readonly at: number;
}
export interface Payment {
  readonly id: string;
  readonly at: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "timed";
const span = (name: string, ms: number): number => Number(process.env[name] ?? ms);

export const PARTITIONS = 2;
export const SIZE_MS: number = span("TEST_SIZE", 2_000);
export const GAP_MS: number = span("TEST_GAP", 700);
export const GRACE_MS: number = span("TEST_GRACE", 500);
/** A payment is at most so much older, and so much newer, than its visit. */
export const BEFORE_MS = 200;
export const AFTER_MS = 1_000;
/** So long after the last visit a visitor has left. */
export const GONE_MS = 900;
export const CALM_MS = 1_000;
const VISITORS_MAX = 1_000;

// Times are counted by their sender: the clock says nothing of them.
const shape = { key: string, partitions: PARTITIONS, owner: "tests", idleAfter: "never" as const };
/** Keyed by visitor, as payments are. */
export const visits: Topic<string, Visit> = topic(`${prefix}.visits`, {
  ...shape,
  value: json<Visit>(),
  timestamp: ({ at }) => at,
});
export const payments: Topic<string, Payment> = topic(`${prefix}.payments`, {
  ...shape,
  value: json<Payment>(),
  timestamp: ({ at }) => at,
});

const instant = { type: "long", logicalType: "timestamp-millis" };
const rowOf = <Row>(name: string, fields: Readonly<Record<keyof Row & string, unknown>>) =>
  avro<Row>({
    type: "record",
    name,
    namespace: "timed",
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  });

interface PageViews {
  readonly page: string;
  readonly began: number;
  readonly views: number;
}
const pageViews = postgresTable("page_views", {
  row: rowOf<PageViews>("PageViews", { page: "string", began: instant, views: "int" }),
  key: ["page", "began"],
});
interface Stay {
  readonly visitor: string;
  readonly began: number;
  readonly ended: number;
  readonly views: number;
}
const stays = postgresTable("stays", {
  row: rowOf<Stay>("Stay", { visitor: "string", began: instant, ended: instant, views: "int" }),
  key: ["visitor", "began"],
});
interface PaidVisit {
  readonly visit: string;
  /** Empty for none. */
  readonly payment: string;
}
const paidVisits = postgresTable("paid_visits", {
  row: rowOf<PaidVisit>("PaidVisit", { visit: "string", payment: "string" }),
  key: ["visit", "payment"],
});
interface Departure {
  readonly visitor: string;
  readonly left: number;
  readonly views: number;
}
const departures = postgresTable("departures", {
  row: rowOf<Departure>("Departure", { visitor: "string", left: instant, views: "int" }),
  key: ["visitor", "left"],
  columns: { left: { name: "left_at" } },
});
interface CalmVisits {
  readonly visitor: string;
  readonly views: number;
}
const calmVisits = postgresTable("calm_visits", {
  row: rowOf<CalmVisits>("CalmVisits", { visitor: "string", views: "int" }),
  key: ["visitor", "views"],
});

const grace = milliseconds(GRACE_MS);

export const timed: Pipeline = pipeline(prefix, ({ from }) => {
  const all = from(visits);

  all
    .groupBy("by-page", ({ page }) => page)
    .windowedBy(tumbling({ size: milliseconds(SIZE_MS), grace }))
    .count("views-of-page", { emit: "close" })
    .toStream("page-row", (views, { key, start }) => ({
      ...{ page: key, began: start.getTime(), views },
    }))
    .upsertInto(pageViews);

  all
    .groupByKey()
    .windowedBy(session({ gap: milliseconds(GAP_MS), grace }))
    .count("stay", { emit: "close" })
    .toStream("stay-row", (views, { key, start, end }) => ({
      ...{ visitor: key, began: start.getTime(), ended: end.getTime(), views },
    }))
    .upsertInto(stays);

  all
    .leftJoin("paid", from(payments), paidVisit, {
      before: milliseconds(BEFORE_MS),
      after: milliseconds(AFTER_MS),
      grace,
    })
    .upsertInto(paidVisits);

  all
    .process("leaving", {
      order: { grace },
      state: { views: json<number>() },
      timers: { gone: "event-time" },
      onRecord(_visit, { record, state, timers }) {
        state.views.set((state.views.get() ?? 0) + 1);
        timers.gone.at(record.timestamp + GONE_MS);
        return [];
      },
      onTimer: {
        gone({ key, due, state }) {
          const views = state.views.get() ?? 0;
          state.views.clear();
          return [{ visitor: key, left: due, views }];
        },
      },
    })
    .upsertInto(departures);

  all
    .groupByKey()
    .count("visits-of-visitor")
    .suppress("calm", {
      for: milliseconds(CALM_MS),
      recordsMax: records(VISITORS_MAX),
      whenFull: "halt",
    })
    .toStream()
    .map("calm-row", (views, { key }) => ({ visitor: key, views }))
    .upsertInto(calmVisits);
});

const paidVisit = (visit: Visit, payment: Payment | null): PaidVisit => ({
  visit: visit.id,
  payment: payment?.id ?? "",
});

export const pipelines: readonly Pipeline[] = [timed];
export const tables: readonly PostgresTable<unknown>[] = [
  ...[pageViews, stays, paidVisits, departures, calmVisits],
] as readonly PostgresTable<unknown>[];
