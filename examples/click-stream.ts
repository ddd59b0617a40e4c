// Clicks on the pages of a shop: how much each user views in five minutes, and visits, which end when nothing is clicked for
// half an hour. test/examples/click-stream.test.ts is its test.
import { json, minutes, pipeline, session, string, topic, tumbling } from "#engine";

export interface Click {
  readonly page: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface Views {
  readonly user: string;
  readonly from: Date;
  readonly to: Date;
  readonly views: number;
}

const shape = { key: string, partitions: 6, owner: "team-web" };

/** Keyed by user. */
export const clicks = topic("clicks", {
  ...shape,
  value: json<Click>(),
  timestamp: ({ at }) => at,
});
/** Five minutes of a user, once they are over. */
export const viewsByUser = topic("clicks.views-by-user", { ...shape, value: json<Views>() });
export const visits = topic("clicks.visits", { ...shape, value: json<Views>() });
/** Clicks that came when their visit was closed. */
export const lateClicks = topic("clicks.late", { ...shape, value: json<Click>() });

export const clickStream = pipeline("click-stream", ({ from }) => {
  const byUser = from(clicks).groupByKey();

  byUser
    .windowedBy(tumbling({ size: minutes(5), grace: minutes(1) }))
    .count("views", { emit: "close" })
    .toStream("views-row", (views, { key, start, end }) => ({
      ...{ user: key, from: start, to: end, views },
    }))
    .to(viewsByUser);

  const visiting = byUser
    .windowedBy(session({ gap: minutes(30), grace: minutes(1) }))
    .count("visit", { emit: "close" });
  visiting.late.to(lateClicks);
  visiting
    .toStream("visit-row", (views, { key, start, end }) => ({
      ...{ user: key, from: start, to: end, views },
    }))
    .to(visits);
});
