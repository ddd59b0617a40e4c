// Loopback ports that nobody listens on.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const handedOut = new Set<number>();

/** The ports wanted, if all are free, else others. No port is handed out twice by one process. */
export async function choosePorts(
  count: number,
  wanted: readonly number[] = [],
): Promise<readonly number[]> {
  const free = await Promise.all(wanted.map(isFree));
  if (wanted.length === count && free.every(Boolean)) return wanted;
  const ports: number[] = [];
  while (ports.length < count) ports.push(await otherPort());
  return ports;
}

/**
 * Below the range from which systems take ports for outgoing connections: a server that is stopped and started again
 * would now and then find its port taken by some client.
 */
async function otherPort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}
