// Corrections to kafkajs' Connection. As shipped, two callers that find it closed open two sockets over one buffer; a
// socket that closed in the middle of a response leaves its bytes before the next one's; a late event of an old socket
// tears down the new one; and a request written while it disconnects waits for ever, its timeout check being gone.
import type { Socket } from "node:net";
import type { DriverCorrection } from "./driver.ts";

interface ConnectionFields {
  host: string;
  port: number;
  socket?: Socket;
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  isConnected(): boolean;
  rejectRequests(error: Error): void;
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  [connecting]?: Promise<unknown>;
  [disconnecting]?: Promise<unknown>;
}
export interface ConnectionClass {
  readonly prototype: ConnectionFields;
}

const connecting: unique symbol = Symbol("connecting");
const disconnecting: unique symbol = Symbol("disconnecting");
const lengthBytes = 4;

/** Same name and fields as kafkajs' own, so that one place distinguishes both from refusals. */
class ConnectionClosed extends Error {
  readonly retriable = true;
  constructor(host: string, port: number) {
    super(`Closed connection to ${host}:${String(port)}`);
    this.name = "KafkaJSConnectionClosedError";
  }
}

/** Lets go of a socket: its events concern no one any more, and it is closed when what it was given is written. */
function release(socket: Socket | undefined): void {
  if (socket === undefined) return;
  for (const event of ["data", "end", "error", "timeout"]) socket.removeAllListeners(event);
  // An error without listener would end the process.
  socket.on("error", () => undefined);
  if (socket.connecting) socket.destroy();
  else socket.destroySoon();
}

export function correctConnection(connection: ConnectionClass): DriverCorrection {
  const { prototype } = connection;
  const connectOnce = prototype.connect;
  const disconnectOnce = prototype.disconnect;

  async function open(this: ConnectionFields): Promise<unknown> {
    await this[disconnecting];
    if (this.isConnected()) return true;
    release(this.socket);
    this.chunks = [];
    this.bytesBuffered = 0;
    this.bytesNeeded = lengthBytes;
    return connectOnce.call(this);
  }
  async function close(this: ConnectionFields): Promise<unknown> {
    const { socket } = this;
    const closed = new ConnectionClosed(this.host, this.port);
    this.rejectRequests(closed);
    await disconnectOnce.call(this);
    release(socket);
    delete this.socket;
    this.rejectRequests(closed);
    return true;
  }
  prototype.connect = function connect(): Promise<unknown> {
    this[connecting] ??= open.call(this).finally(() => delete this[connecting]);
    return this[connecting];
  };
  prototype.disconnect = function disconnect(): Promise<unknown> {
    this[disconnecting] ??= close.call(this).finally(() => delete this[disconnecting]);
    return this[disconnecting];
  };
  const { connect, disconnect } = prototype;
  return {
    name: "Connection",
    isInPlace: () => prototype.connect === connect && prototype.disconnect === disconnect,
  };
}
