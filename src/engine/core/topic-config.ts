// Settings of topics, as Kafka names them.

export const TIMESTAMP_TYPE = "message.timestamp.type";
/** The farthest that a producer's timestamp may be behind and ahead of the broker's clock (KIP-937). */
export const TIMESTAMP_BEFORE_MAX = "message.timestamp.before.max.ms";
export const TIMESTAMP_AFTER_MAX = "message.timestamp.after.max.ms";
export const MESSAGE_BYTES_MAX = "max.message.bytes";
export const CLEANUP_POLICY = "cleanup.policy";
export const RETENTION_MS = "retention.ms";
export const RETENTION_BYTES = "retention.bytes";
export const MIN_INSYNC = "min.insync.replicas";

/** True when the topic is compacted: its broker refuses records without a key. */
export const isCompacted = (config: Readonly<Record<string, string>>): boolean =>
  config[CLEANUP_POLICY]?.includes("compact") === true;

const LONG_MAX = "9223372036854775807";

/** No timestamp is refused. */
export const TIMESTAMPS_UNLIMITED: Readonly<Record<string, string>> = {
  [TIMESTAMP_BEFORE_MAX]: LONG_MAX,
  [TIMESTAMP_AFTER_MAX]: LONG_MAX,
};

/**
 * Every record keeps the time that it has, whatever time that is: event time goes through topics of ours, and was judged
 * where it was read. A broker's own default is one hour ahead of its clock, or the time of arrival.
 */
export const ANY_TIMESTAMP: Readonly<Record<string, string>> = {
  [TIMESTAMP_TYPE]: "CreateTime",
  ...TIMESTAMPS_UNLIMITED,
};
