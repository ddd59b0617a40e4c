// Does a broker answer? One Metadata request (version 1) over a bare socket. Not through kafkajs: the engine must be the
// first to load that, since it corrects parts of it, and may run in this same process.
import { connect } from "node:net";

const timeoutMs = 2_000;

/** Resolves when the broker names a controller and at least one broker; only connects when not `isPlain`. Never throws at once. */
export async function askBroker(address: string, isPlain: boolean): Promise<void> {
  const colon = address.lastIndexOf(":");
  const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${address}: ${why}`));
    socket.setTimeout(timeoutMs, () => fail("no answer in time"));
    socket.once("error", (error) => fail(error.message));
    socket.once("close", () => fail("connection closed"));
    socket.once("connect", () => (isPlain ? socket.write(metadataRequest()) : resolve()));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      const answer = Buffer.concat(chunks);
      if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return;
      if (isReady(answer)) resolve();
      else fail("no controller yet");
    });
  }).finally(() => socket.destroy());
}

/** Size, key 3, version 1, correlation id, client id "millrace", an empty list of topics (KIP-4: no topics). */
function metadataRequest(): Buffer {
  const client = Buffer.from("millrace");
  const body = Buffer.alloc(2 + 2 + 4 + 2 + client.length + 4);
  body.writeInt16BE(3, 0);
  body.writeInt16BE(1, 2);
  body.writeInt32BE(1, 4);
  body.writeInt16BE(client.length, 8);
  client.copy(body, 10);
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

/** Brokers (id, host, port, rack), then the controller's id. */
export function isReady(answer: Buffer): boolean {
  let at = 8; // Behind size and correlation id.
  const count = answer.readInt32BE(at);
  at += 4;
  const skipString = (): void => {
    at += 2 + Math.max(0, answer.readInt16BE(at));
  };
  for (let broker = 0; broker < count; broker++) {
    at += 4;
    skipString();
    at += 4;
    skipString();
  }
  return count > 0 && answer.readInt32BE(at) >= 0;
}
