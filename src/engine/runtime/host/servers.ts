// The servers that pipelines need beside Kafka. One that none of them needs is not asked for.
import type { ConfigError } from "../../core/errors.ts";
import type { Plan } from "../../core/plan.ts";
import type { SchemaFormat } from "../../core/schema.ts";
import { settingMissing, type WorkerSettings } from "./settings.ts";

const usesAvro = (format: SchemaFormat): boolean =>
  format.kind === "nullable" || format.kind === "windows"
    ? usesAvro(format.of)
    : format.kind === "avro";

const needs = {
  SCHEMA_REGISTRY_URL: {
    isNeeded: ({ topics }: Plan): boolean =>
      topics.all.some(({ key, value }) => usesAvro(key) || usesAvro(value)),
    why: "has topics with Avro schemas",
  },
  REDIS_URL: {
    isNeeded: ({ options, parts }: Plan): boolean =>
      options.state === "redis" && parts.some((part) => part.stores.length > 0),
    why: 'keeps its state in Redis (state: "memory" would not)',
  },
  DATABASE_URL: {
    isNeeded: ({ tables }: Plan): boolean => tables.length > 0,
    why: "writes tables",
  },
} as const;

/** An error for each server without an address, which names the pipelines that need it. */
export const serversMissing = (
  settings: WorkerSettings,
  plans: readonly Plan[],
): readonly ConfigError[] =>
  (Object.keys(needs) as (keyof typeof needs)[]).flatMap((name) => {
    const { isNeeded, why } = needs[name];
    const by = plans.filter(isNeeded).map(({ pipeline }) => pipeline);
    if (settings[name] !== undefined || by.length === 0) return [];
    return [settingMissing(name, `${by.join(", ")} ${why}`)];
  });
