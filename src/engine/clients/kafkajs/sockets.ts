// The sockets of one client. kafkajs goes on connecting after it was told to disconnect, when a retry is under way, and
// would keep the process alive: here a closed client gets no socket any more, and keeps none.
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

export interface SocketTarget {
  readonly host: string;
  readonly port: number;
  readonly ssl: ConnectionOptions | null;
  readonly onConnect: () => void;
}
export type SocketFactory = (target: SocketTarget) => Socket;

const keepAliveMs = 60_000;

/** Without Nagle's delay: each request waits for its answer, so nothing would follow to fill a packet. */
export const openSocket: SocketFactory = ({ host, port, ssl, onConnect }) => {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket =
    ssl === null
      ? connectTcp({ host, port }, onConnect)
      : connectTls({ host, port, ...servername, ...ssl }, onConnect);
  socket.setKeepAlive(true, keepAliveMs);
  socket.setNoDelay(true);
  return socket;
};

export class Sockets {
  readonly #factory: SocketFactory;
  readonly #open = new Set<Socket>();
  #isClosed = false;

  constructor(factory: SocketFactory) {
    this.#factory = factory;
  }

  readonly open: SocketFactory = (target) => {
    if (this.#isClosed) throw new Error("the client is closed");
    const socket = this.#factory(target);
    this.#open.add(socket);
    let hasEnded = false;
    socket.once("end", () => (hasEnded = true));
    socket.once("close", () => {
      this.#open.delete(socket);
      // kafkajs listens for the end of the other side only: a socket that just closes would leave requests waiting.
      if (!hasEnded) socket.emit("end");
    });
    return socket;
  };

  refuse(): void {
    this.#isClosed = true;
  }

  /** What was written is still sent, where there is a connection to send it by. */
  close(): void {
    this.refuse();
    for (const socket of this.#open)
      if (socket.connecting) socket.destroy();
      else socket.destroySoon();
  }
}
