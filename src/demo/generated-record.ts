// The record that every generator yields: a typed value of a declared topic, or one whose bytes are then damaged.

export interface GeneratedRecord<V = unknown> {
  readonly topic: string;
  readonly key: string;
  readonly value: V;
  /** Set in poison: what is done to the encoded value before it is sent. */
  readonly damage?: (bytes: Buffer) => Buffer;
}
