import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MillraceError } from "../../../../src/engine/core/errors.ts";
import { loadDriver } from "../../../../src/engine/clients/kafkajs/overrides/driver.ts";
import { protocolRequest } from "../../../../src/engine/clients/kafkajs/protocol/request.ts";
import { WireWriter } from "../../../../src/engine/clients/kafkajs/protocol/wire.ts";

loadDriver();
const require = createRequire(import.meta.url);

interface TestConnection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  isConnected(): boolean;
  send(request: unknown): Promise<unknown>;
  versions: unknown;
}
const Connection = require("kafkajs/src/network/connection") as {
  new (options: object): TestConnection;
  prototype: { connect: unknown };
};
const RequestQueue = require("kafkajs/src/network/requestQueue") as new (options: object) => {
  throttleCheckTimeoutId: unknown;
  checkPendingRequests(): void;
};
const Broker = require("kafkajs/src/broker") as new (options: object) => {
  isConnected(): boolean;
  connect(): Promise<void>;
};
const { requests } = require("kafkajs/src/protocol/requests") as {
  requests: {
    Metadata: {
      protocol(of: { version: number }): (o: object) => {
        response: { parse(data: unknown): Promise<unknown> };
      };
    };
  };
};

const quiet = (): object => {
  const nothing = (): void => undefined;
  return { debug: nothing, info: nothing, warn: nothing, error: nothing, namespace: quiet };
};

/** ApiVersions needs no login, so nothing else is asked first. */
const ask = () =>
  protocolRequest({ key: 18, version: 0, name: "ApiVersions" }, new WireWriter(), (reader) =>
    reader.int32(),
  );

/** The answer to the request with this number: a length, the number, and the value. */
const answer = (correlationId: number, value: number): Buffer =>
  new WireWriter().int32(8).int32(correlationId).int32(value).written;

test("a broker with an open socket is connected only when versions are settled", async () => {
  let isSilent = true;
  const connectionPool = {
    connectionTimeout: 100,
    isConnected: () => true,
    setVersions: () => undefined,
    send: () =>
      isSilent
        ? Promise.reject(new Error("no answer in time"))
        : Promise.resolve({ apiVersions: [{ apiKey: 18, minVersion: 0, maxVersion: 2 }] }),
    getConnection: () =>
      Promise.resolve({
        getSupportAuthenticationProtocol: () => false,
        authenticate: () => Promise.resolve(),
      }),
  };
  const broker = new Broker({ connectionPool, logger: quiet() });
  await assert.rejects(broker.connect(), /no answer/);
  assert.equal(broker.isConnected(), false);
  isSilent = false;
  await broker.connect();
  assert.equal(broker.isConnected(), true);
});

describe("a connection of kafkajs", () => {
  let server: Server;
  const accepted: Socket[] = [];
  const opened: Socket[] = [];
  let connection: TestConnection;

  beforeEach(async () => {
    accepted.length = 0;
    opened.length = 0;
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    connection = new Connection({
      host: "127.0.0.1",
      port,
      logger: quiet(),
      connectionTimeout: 1_000,
      requestTimeout: 5_000,
      socketFactory: ({ onConnect }: { onConnect: () => void }) => {
        const socket = connect({ port, host: "127.0.0.1" }, onConnect);
        opened.push(socket);
        return socket;
      },
    });
  });
  afterEach(async () => {
    await connection.disconnect();
    for (const socket of accepted) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const nextSocket = async (count: number): Promise<Socket> => {
    while (accepted.length < count) await delay(2);
    return accepted[count - 1] as Socket;
  };

  test("two callers that find it closed share one socket", async () => {
    await Promise.all([connection.connect(), connection.connect()]);
    await delay(20);
    assert.equal(accepted.length, 1);
  });

  test("half an answer before a break does not spoil the answers after it", async () => {
    await connection.connect();
    const lost = connection.send(ask());
    const first = await nextSocket(1);
    await new Promise((resolve) => first.once("data", resolve));
    first.end(answer(0, 1).subarray(0, 7));
    await assert.rejects(lost, { name: "KafkaJSConnectionClosedError" });
    await connection.connect();
    const kept = connection.send(ask());
    const second = await nextSocket(2);
    await new Promise((resolve) => second.once("data", resolve));
    second.write(answer(1, 42));
    assert.equal(await kept, 42);
  });

  test("disconnecting rejects what is under way at once", async () => {
    await connection.connect();
    const waiting = connection.send(ask());
    await nextSocket(1);
    const startedAt = performance.now();
    const rejected = assert.rejects(waiting, { name: "KafkaJSConnectionClosedError" });
    await connection.disconnect();
    await rejected;
    assert.ok(performance.now() - startedAt < 1_000);
  });

  test("a request that slips in while it disconnects is rejected, not left waiting", async () => {
    await connection.connect();
    const closing = connection.disconnect();
    const slipped = assert.rejects(connection.send(ask()), /[Cc]losed|Not connected/);
    await closing;
    await slipped;
  });

  test("late bytes and errors of the old socket leave the new connection alone", async () => {
    await connection.connect();
    await connection.disconnect();
    await connection.connect();
    const [old] = opened;
    old?.emit("data", Buffer.from([0, 0, 0]));
    old?.emit("error", new Error("late"));
    await delay(5);
    assert.ok(connection.isConnected());
    const kept = connection.send(ask());
    const second = await nextSocket(2);
    await new Promise((resolve) => second.once("data", resolve));
    second.write(answer(0, 42));
    assert.equal(await kept, 42);
  });
});

test("the request queue sets no timer when nothing waits", () => {
  const queue = new RequestQueue({
    logger: quiet(),
    requestTimeout: 1,
    clientId: "t",
    broker: "b",
  });
  queue.checkPendingRequests();
  assert.equal(queue.throttleCheckTimeoutId, null);
});

test("one topic with an error does not fail the metadata of the others", async () => {
  const { response } = requests.Metadata.protocol({ version: 6 })({ topics: [] });
  const data = {
    topicMetadata: [{ topicErrorCode: 3, topic: "gone", partitionMetadata: [] }],
  };
  assert.equal(await response.parse(data), data);
});

describe("the check at start", () => {
  const { prototype } = Connection;
  const corrected = prototype.connect;
  after(() => {
    prototype.connect = corrected;
  });

  test("refuses to go on when a correction is not in place, and names it", () => {
    prototype.connect = () => Promise.resolve();
    assert.throws(
      () => loadDriver(),
      (error: unknown) =>
        error instanceof MillraceError &&
        error.code === "MILL_KAFKA_CLIENT" &&
        error.message.includes("Connection"),
    );
    prototype.connect = corrected;
    assert.equal(loadDriver().version, "2.2.4");
  });
});
