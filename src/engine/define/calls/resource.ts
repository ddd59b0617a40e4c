// resource(): what callbacks call, such as a client of a service. A worker opens it when it starts and closes it when it
// ends; importing it does nothing. Its settings are checked with all others, before anything is connected.
import type { z } from "zod";
import type { PlanResource } from "../../core/plan.ts";

type Shape = Readonly<Record<string, z.ZodType>>;
type SettingsOf<S extends Shape> = { readonly [Name in keyof S]: z.output<S[Name]> };

/** A client C that `mapAsync` is given. */
export interface Resource<C> extends PlanResource {
  readonly kind: "resource";
  readonly declaration: ResourceSpec;
  /** Never there: it keeps apart resources of different clients. */
  readonly client?: C;
}

/** A resource as the engine sees it. */
export interface ResourceSpec {
  readonly env: Shape;
  readonly open: (settings: Readonly<Record<string, unknown>>) => unknown;
  readonly close: (client: unknown) => unknown;
}

export interface ResourceOptions<C, S extends Shape> {
  /** Settings by name; each may be `NAME_FILE`. */
  readonly env: S;
  readonly open: (settings: SettingsOf<S>) => C | Promise<C>;
  readonly close?: (client: C) => void | Promise<void>;
}

/**
 * Declares a resource.
 * @example
 * export const geocoder = resource("geocoder", {
 *   env: { GEOCODER_URL: z.url() },
 *   open: ({ GEOCODER_URL }) => new Geocoder(GEOCODER_URL),
 *   close: (client) => client.close(),
 * });
 */
export function resource<C, S extends Shape>(
  name: string,
  { env, open, close = () => undefined }: ResourceOptions<C, S>,
): Resource<C> {
  const declaration = { env, open, close } as unknown as ResourceSpec;
  return Object.freeze({ kind: "resource", name, declaration });
}
