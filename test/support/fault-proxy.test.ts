// The proxy that injects faults must itself be no fault: bytes keep their order and number at every speed, and each kind
// of trouble is counted.
import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { eventually } from "./eventually.ts";
import { FaultProxy } from "./fault-proxy.ts";

/** A server that says back what it hears, behind a proxy. */
async function echo(t: TestContext): Promise<{ proxy: FaultProxy; open(): Promise<Talk> }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const proxy = await FaultProxy.start({ host: "127.0.0.1", port });
  t.after(async () => {
    await proxy.close();
    server.close();
  });
  return { proxy, open: () => talk(t, proxy.port) };
}

interface Talk {
  readonly socket: Socket;
  readonly pieces: Buffer[];
  error: string | null;
  heard(): Buffer;
}

async function talk(t: TestContext, port: number): Promise<Talk> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  const pieces: Buffer[] = [];
  const one: Talk = { socket, pieces, error: null, heard: () => Buffer.concat(pieces) };
  socket.on("data", (bytes: Buffer) => pieces.push(bytes));
  socket.on("error", (error: NodeJS.ErrnoException) => (one.error = error.code ?? ""));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return one;
}

const arrived = (one: Talk, length: number): Promise<true> =>
  eventually(`${String(length)} bytes`, () => (one.heard().length === length ? true : null));

const numbers = (count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, i) => i % 251));

test("bytes keep their order while latency, slices and speed change under way", async (t) => {
  const { proxy, open } = await echo(t);
  const one = await open();
  const all = numbers(60_000);
  const shapes = [
    { latencyMs: 80 },
    {},
    { sliceBytes: 7 },
    { latencyMs: 5 },
    { bytesPerSecond: 400_000 },
  ];
  for (let at = 0; at < all.length; at += 1_000) {
    proxy.shape(shapes[(at / 1_000) % shapes.length] ?? {});
    one.socket.write(all.subarray(at, at + 1_000));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await arrived(one, all.length);
  assert.ok(one.heard().equals(all));
  // How much falls under which shape is up to the machine.
  assert.ok(proxy.counts.shaped > 50, String(proxy.counts.shaped));
});

test("an answer is lost and the request arrives; a silent cut tells nobody", async (t) => {
  const { proxy, open } = await echo(t);
  const one = await open();
  proxy.cutOnce({ direction: "to-client", at: "mark", forward: false });
  one.socket.write("a mark");
  await eventually("the connection is cut", () => (one.socket.destroyed ? true : null));
  assert.equal(one.heard().length, 0);
  const two = await open();
  proxy.cutOnce({
    direction: "to-server",
    at: (bytes) => bytes[0] === 1,
    forward: false,
    isSilent: true,
  });
  two.socket.write(Buffer.of(2));
  await arrived(two, 1);
  two.socket.write(Buffer.of(1));
  await eventually("it is cut", () => (proxy.cuts === 2 ? true : null));
  two.socket.write(Buffer.of(3));
  await eventually("what follows vanishes", () => (proxy.counts.swallowed > 0 ? true : null));
  assert.deepEqual([two.heard().length, two.socket.destroyed], [1, false]);
});

test("resets are heard as resets, answers of its own come from it, and a new target is used", async (t) => {
  const [first, second] = [await echo(t), await echo(t)];
  const one = await first.open();
  first.proxy.resetAll();
  await eventually("a reset", () => (one.error === "ECONNRESET" ? true : null));
  assert.equal(first.proxy.counts.broken, 1);
  first.proxy.answer("nonsense");
  const two = await first.open();
  two.socket.write("question");
  await arrived(two, "nonsense".length);
  assert.equal(String(two.heard()), "nonsense");
  first.proxy.answer(null);
  first.proxy.retarget({ host: "127.0.0.1", port: second.proxy.port });
  second.proxy.cutOnce({ direction: "to-server", at: "there", forward: false });
  const three = await first.open();
  three.socket.write("there");
  await eventually("it came to the other one", () => (second.proxy.cuts === 1 ? true : null));
});
