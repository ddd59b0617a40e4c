// A request of ours in the form that kafkajs' connections send: key, version, encoded body, and a reader of the answer.
import { DependencyError } from "../../../core/errors.ts";
import { WireReader, type WireWriter } from "./wire.ts";

export interface ProtocolRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: {
    decode(payload: Buffer): Promise<Decoded<T>>;
    parse(decoded: Decoded<T>): Promise<T>;
  };
  readonly requestTimeout?: number;
}

/** The producer that a request of a transaction comes from. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly transactionalId: string | null;
}

/** The throttle time is read by kafkajs, which then delays what follows (KIP-219). */
interface Decoded<T> {
  readonly value: T;
  readonly clientSideThrottleTime: number;
}

/**
 * Makes a request; nothing is read before the answer is there. `read` may use `throttled` to hand over the throttle time;
 * `waitMs` is how long the broker may take, where that is more than the connection's own limit.
 */
export function protocolRequest<T>(
  api: { readonly key: number; readonly version: number; readonly name: string },
  body: WireWriter,
  read: (reader: WireReader, throttled: (ms: number) => void) => T,
  waitMs?: number,
): ProtocolRequest<T> {
  return {
    request: {
      apiKey: api.key,
      apiVersion: api.version,
      apiName: api.name,
      encode: () => Promise.resolve({ buf: body.written, buffer: body.written }),
    },
    response: {
      decode: (payload) => {
        let clientSideThrottleTime = 0;
        try {
          const value = read(new WireReader(payload), (ms) => (clientSideThrottleTime = ms));
          return Promise.resolve({ value, clientSideThrottleTime });
        } catch (error) {
          return Promise.reject(unreadable(api.name, error));
        }
      },
      parse: (decoded) => Promise.resolve(decoded.value),
    },
    ...(waitMs === undefined ? {} : { requestTimeout: waitMs }),
  };
}

/** A server that is none, or a connection that has lost bytes: another one may answer. */
const unreadable = (request: string, cause: unknown): unknown =>
  cause instanceof RangeError
    ? new DependencyError(
        "MILL_KAFKA_UNAVAILABLE",
        `the answer to ${request} is none of its format`,
        { cause },
      )
    : cause;
