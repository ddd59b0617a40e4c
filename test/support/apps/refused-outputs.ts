// Events into topics that do not take everything: one for times near the broker's clock, a compacted one, and texts that are
// joined in state. A second pipeline of the same worker copies numbers. TEST_TOPICS goes before the names.
import { json, nullable, pipeline, string, topic, type Pipeline, type Topic } from "#engine";

export interface Event {
  readonly n: number;
  readonly text: string;
}

const prefix = process.env["TEST_TOPICS"] ?? "refused";
const shape = { key: nullable(string), value: json<Event>(), partitions: 2, owner: "tests" };
/** Takes any time and any size. */
const takesAll = {
  "message.timestamp.after.max.ms": "9223372036854775807",
  "max.message.bytes": "3000000",
};

export const events: Topic<string | null, Event> = topic(`${prefix}.events`, {
  ...shape,
  config: takesAll,
});
export const timely: Topic<string | null, Event> = topic(`${prefix}.timely`, {
  ...shape,
  config: { "message.timestamp.after.max.ms": "3600000" },
});
export const keyed: Topic<string | null, Event> = topic(`${prefix}.keyed`, {
  ...shape,
  compacted: true,
});
export const joined: Topic<string | null, string> = topic(`${prefix}.joined`, {
  ...shape,
  value: json<string>(),
});
export const numbers: Topic<string | null, Event> = topic(`${prefix}.numbers`, shape);
export const copies: Topic<string | null, Event> = topic(`${prefix}.copies`, shape);

/** Each event goes to three topics, or to none. */
export const refused: Pipeline = pipeline(
  prefix,
  { state: "memory", haltWhen: "never" },
  ({ from }) => {
    const all = from(events);
    all.to(timely);
    all.filter("any", () => true).to(keyed);
    all
      .mapWithState("join", {
        state: json<string>(),
        map: (state: string | null, { text }: Event) => {
          const next = (state ?? "") + text;
          return { state: next, emit: [String(next.length)] };
        },
      })
      .to(joined);
  },
);
export const beside: Pipeline = pipeline(`${prefix}-beside`, ({ from }) => {
  from(numbers).to(copies);
});

export const pipelines = [refused, beside];
export const tables = [];
