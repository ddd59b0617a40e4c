// Clients of the operations port that mean no good. As a process of its own (`node test/support/port-attackers.ts 9464`) it
// opens all kinds of them at one port until it is killed.
import { connect, type Socket } from "node:net";

const GET = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";

interface Attack {
  readonly what: string;
  readonly sockets: number;
  readonly payload: string;
}

export const attacks: readonly Attack[] = [
  { what: "pipelined requests that nobody reads", sockets: 8, payload: GET.repeat(1_000) },
  { what: "requests whose answers nobody reads", sockets: 200, payload: GET },
  { what: "connections that say nothing", sockets: 200, payload: "" },
  {
    what: "headers without an end",
    sockets: 100,
    payload: `GET /metrics HTTP/1.1\r\nx: ${"y".repeat(6_000)}`,
  },
];

/** Opens a socket, sends, and never reads; again and again. */
export function attacker(port: number, payload: string): { readonly stop: () => void } {
  let socket: Socket;
  let isOver = false;
  const begin = (): void => {
    if (isOver) return;
    socket = connect(port, "127.0.0.1", () => void socket.write(payload));
    socket.pause();
    socket.on("error", () => undefined);
    socket.on("close", () => setTimeout(begin, 5));
  };
  begin();
  return {
    stop: () => {
      isOver = true;
      socket.destroy();
    },
  };
}

if (import.meta.main)
  for (const { sockets, payload } of attacks)
    for (let opened = 0; opened < sockets; opened++) attacker(Number(process.argv[2]), payload);
