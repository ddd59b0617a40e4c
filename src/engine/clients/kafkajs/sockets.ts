// The sockets of one client. kafkajs goes on connecting after a disconnect, when a retry is under way, and
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
    let isUp = false;
    const onConnect = (): void => {
      isUp = true;
      target.onConnect();
    };
    const socket = this.#factory({ ...target, onConnect });
    this.#open.add(socket);
    let hasEnded = false;
    let hasFailed = false;
    socket.once("end", () => (hasEnded = true));
    socket.once("error", () => (hasFailed = true));
    socket.once("close", () => {
      this.#open.delete(socket);
      if (hasEnded) return;
      // kafkajs listens for the end of the other side only: a socket that just closes would leave requests waiting; and it
      // takes an end before the connection is there for nothing, and would wait for it for ever.
      if (isUp || hasFailed || this.#isClosed) socket.emit("end");
      else socket.emit("error", new Error("closed before it was connected"));
    });
    return socket;
  };

  refuse(): void {
    this.#isClosed = true;
  }

  /** Data already written is still sent if the socket is connected. */
  close(): void {
    this.refuse();
    for (const socket of this.#open)
      if (socket.connecting) socket.destroy();
      else socket.destroySoon();
  }
}
