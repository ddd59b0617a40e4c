// Correction to kafkajs' Metadata response: one topic with an error (deleted, no leader yet, not ours to see) fails the
// request for all topics (kafkajs issue 1622). Here an error stays with its topic or partition.
import type { DriverCorrection } from "./driver.ts";

interface Built {
  readonly request: unknown;
  readonly response: { readonly decode: unknown; readonly parse: (data: unknown) => unknown };
}
export interface RequestDefinition {
  readonly versions: readonly string[];
  readonly protocol: (of: { version: number }) => (options: unknown) => Built;
}

export function correctMetadata(requests: Record<string, RequestDefinition>): DriverCorrection {
  const original = requests["Metadata"] as RequestDefinition;
  const corrected: RequestDefinition = {
    versions: original.versions,
    protocol:
      ({ version }) =>
      (options) => {
        const built = original.protocol({ version })(options);
        return {
          ...built,
          response: { ...built.response, parse: (data) => Promise.resolve(data) },
        };
      },
  };
  requests["Metadata"] = corrected;
  return { name: "Metadata", isInPlace: () => requests["Metadata"] === corrected };
}
