// Loopback ports that nobody listens on.
import { createHash, randomInt } from "node:crypto";
import { createServer } from "node:net";

const handedOut = new Set<number>();

const FIRST_PORT = 12_000;
/** Ports of one folder; enough for every service. */
const PER_FOLDER = 10;
const FOLDERS = 2_000;

/**
 * The ports that a service of this folder begins with. They follow from the folder's path alone, so that addresses stay the same
 * when its data is removed and made anew.
 */
export function portsOfFolder(dir: string, service: number, count: number): readonly number[] {
  const folder = createHash("sha256").update(dir).digest().readUInt32BE() % FOLDERS;
  const first = FIRST_PORT + folder * PER_FOLDER + 2 * service;
  return Array.from({ length: count }, (_, i) => first + i);
}

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
    const port = randomInt(FIRST_PORT, FIRST_PORT + FOLDERS * PER_FOLDER);
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
