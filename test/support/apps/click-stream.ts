// A click stream with two re-keys and three tables: what such a pipeline costs in topics, partitions and groups.
// TEST_TOPICS goes before the names, so that two runs never meet on one stack.
import {
  avro,
  days,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Click {
  readonly id: string;
  readonly user: string;
  readonly page: string;
  readonly ms: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "clicks";

/** Keyed by session. */
export const clicks: Topic<string, Click> = topic(`${prefix}.events`, {
  key: string,
  value: json<Click>(),
  partitions: 6,
  owner: "tests",
});

const rowOf = <R>(name: string, key: string, number: string) =>
  avro<R>({
    type: "record",
    name,
    namespace: "clicks",
    fields: [
      { name: key, type: "string" },
      { name: number, type: "int" },
    ],
  });
interface UserClicks {
  readonly user: string;
  readonly clicks: number;
}
interface UserTime {
  readonly user: string;
  readonly ms: number;
}
interface PageClicks {
  readonly page: string;
  readonly clicks: number;
}
const userClicks = postgresTable("user_clicks", {
  row: rowOf<UserClicks>("UserClicks", "user", "clicks"),
  key: ["user"],
});
const userTime = postgresTable("user_time", {
  row: rowOf<UserTime>("UserTime", "user", "ms"),
  key: ["user"],
});
const pageClicks = postgresTable("page_clicks", {
  row: rowOf<PageClicks>("PageClicks", "page", "clicks"),
  key: ["page"],
});

export const clickStream: Pipeline = pipeline(prefix, ({ from }) => {
  const once = from(clicks).distinct("exact-repeats", { by: ({ id }) => id, within: days(1) });
  const byUser = once.rekey("by-user", ({ user }) => user);
  byUser
    .groupByKey()
    .count("clicks-of-user")
    .map("user-clicks", (n, { key }) => ({ user: key, clicks: n }))
    .upsertInto(userClicks);
  byUser
    .groupByKey()
    .sum("time-of-user", ({ ms }) => ms)
    .map("user-time", (ms, { key }) => ({ user: key, ms }))
    .upsertInto(userTime);
  const byPage = once.rekey("by-page", ({ page }) => page);
  byPage
    .distinct("users-of-page", { by: ({ user }) => user, within: days(1) })
    .groupByKey()
    .count("clicks-of-page")
    .map("page-clicks", (n, { key }) => ({ page: key, clicks: n }))
    .upsertInto(pageClicks);
});

export const pipelines = [clickStream];
export const tables = [userClicks, userTime, pageClicks];
