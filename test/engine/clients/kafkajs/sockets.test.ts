// What kafkajs hears of a socket: whatever ends it, nobody waits for it for ever.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { openSocket, Sockets } from "../../../../src/engine/clients/kafkajs/sockets.ts";

/** What is heard of a socket that is destroyed at once, or when it is connected. */
async function heard(t: { after(work: () => void): void }, isUp: boolean): Promise<string[]> {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connected = Promise.withResolvers<void>();
  const sockets = new Sockets(openSocket);
  const target = { host: "127.0.0.1", port, ssl: null, onConnect: connected.resolve };
  const socket = sockets.open(target);
  const events: string[] = [];
  for (const event of ["end", "error"]) socket.on(event, () => events.push(event));
  if (isUp) await connected.promise;
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
  return events;
}

test("a socket that closes without a word has ended", async (t) => {
  assert.deepEqual(await heard(t, true), ["end"]);
});

test("one that closes before it is connected has failed: kafkajs would wait for it for ever", async (t) => {
  assert.deepEqual(await heard(t, false), ["error"]);
});
