// Sockets to Kafka that fail on demand: an answer is lost, an answer is held back, a network is gone. Knows requests by
// the API key in their header, so a fault hits one kind of request and counts how often it did.
import { connect, type Socket } from "node:net";
import type { SocketFactory } from "../../src/engine/clients/kafkajs/port.ts";

export const apiKeys = {
  produce: 0,
  fetch: 1,
  heartbeat: 12,
  findCoordinator: 10,
  joinGroup: 11,
  syncGroup: 14,
  addPartitions: 24,
  addOffsets: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
} as const;
export type Api = keyof typeof apiKeys;

interface Fault {
  readonly api: Api;
  readonly kind: "lose-answer" | "lose-request";
  left: number;
}

interface Call {
  readonly api: Api;
  readonly nth: number;
  readonly when: "sent" | "answered";
  readonly work: () => void;
}

export class FaultSockets {
  readonly #faults: Fault[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<Api, number>();
  readonly #calls: Call[] = [];
  #isOffline = false;
  /** How often a fault has struck. */
  struck = 0;

  readonly factory: SocketFactory = ({ host, port, onConnect }) => {
    // Nothing listens on port 1: a refused connection, as from a broker that is away.
    const socket = connect({ host, port: this.#isOffline ? 1 : port }, onConnect);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#watch(socket);
    return socket;
  };

  /** The broker does the work, and its answer is lost with the connection. */
  loseAnswers(api: Api, times = 1): void {
    this.#faults.push({ api, kind: "lose-answer", left: times });
  }

  /** The request is lost with the connection. */
  loseRequests(api: Api, times = 1): void {
    this.#faults.push({ api, kind: "lose-request", left: times });
  }

  /** Calls the work when the nth request of this kind is written, or at the first data behind it on its socket. */
  on(api: Api, nth: number, when: Call["when"], work: () => void): void {
    this.#calls.push({ api, nth, when, work });
  }

  /** All connections break, and none is made until `online`. */
  offline(): void {
    this.#isOffline = true;
    this.breakAll();
  }
  online(): void {
    this.#isOffline = false;
  }

  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  get openCount(): number {
    return this.#sockets.size;
  }

  /** Requests of this kind that were written. */
  count(api: Api): number {
    return this.#counts.get(api) ?? 0;
  }

  #watch(socket: Socket): void {
    const write = socket.write.bind(socket);
    const emit = socket.emit.bind(socket);
    let isDeaf = false;
    socket.write = ((data: Buffer, ...rest: []): boolean => {
      const fault = this.#faultFor(data);
      if (fault === "lose-request") {
        socket.destroy();
        return false;
      }
      if (fault === "lose-answer") isDeaf = true;
      this.#call(socket, data);
      return write(data, ...rest);
    }) as Socket["write"];
    socket.emit = ((event: string, ...args: unknown[]): boolean => {
      if (!isDeaf || event !== "data") return emit(event, ...args);
      socket.destroy();
      return true;
    }) as Socket["emit"];
  }

  /** Behind the write, or behind what takes the answer. */
  #call(socket: Socket, request: Buffer): void {
    const api = apiOf(request);
    for (const call of this.#calls)
      if (call.api === api && call.nth === this.count(api))
        if (call.when === "sent") queueMicrotask(call.work);
        else socket.once("data", call.work);
  }

  #faultFor(request: Buffer): Fault["kind"] | null {
    const api = apiOf(request);
    if (api === null) return null;
    this.#counts.set(api, this.count(api) + 1);
    const fault = this.#faults.find((one) => one.api === api && one.left > 0);
    if (fault === undefined) return null;
    fault.left--;
    this.struck++;
    return fault.kind;
  }
}

function apiOf(request: Buffer): Api | null {
  if (request.length < 6) return null;
  const key = request.readInt16BE(4);
  return (Object.keys(apiKeys) as Api[]).find((name) => apiKeys[name] === key) ?? null;
}
