// Settings of resources, checked with all others before anything is connected, and how a worker opens one with them.
import { z } from "zod";
import { ConfigErrors, type ConfigError } from "../../core/errors.ts";
import type { PlanResource } from "../../core/plan.ts";
import type { ResourceSpec } from "../../define/calls/resource.ts";
import type { OpenResource } from "../context.ts";
import { parsedFrom, type Env } from "./settings.ts";

export interface ResourceSettings {
  open(resource: PlanResource): Promise<OpenResource>;
}

/** Throws ConfigErrors with every problem. */
export function readResources(resources: readonly PlanResource[], env: Env): ResourceSettings {
  const problems: ConfigError[] = [];
  const settings = new Map<unknown, Readonly<Record<string, unknown>>>();
  for (const { declaration } of resources) {
    const shape = (declaration as ResourceSpec).env;
    const own = parsedFrom(env, z.object(shape), Object.keys(shape), problems);
    settings.set(declaration, own ?? {});
  }
  if (problems.length > 0) throw new ConfigErrors(problems);
  return {
    async open({ declaration }) {
      const { open, close } = declaration as ResourceSpec;
      const client = await open(settings.get(declaration) ?? {});
      return { client, close: async () => void (await close(client)) };
    },
  };
}
