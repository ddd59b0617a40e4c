// A TCP proxy that misbehaves on demand: latency, a cut after some bytes have passed, a silent network. Works for any
// server, without root.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export type Direction = "to-server" | "to-client";

export interface CutRule {
  readonly direction: Direction;
  /** Bytes to wait for; then both sides are cut, and what follows is lost. */
  readonly at: string | Buffer;
  /** Whether these bytes still arrive. */
  readonly forward: boolean;
}

export class FaultProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #latencyMs = 0;
  #isSilent = false;
  #isRefusing = false;
  #cut: CutRule | null = null;
  #cuts = 0;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** Listens on a free loopback port in front of `target`. */
  static async start(target: {
    readonly host: string;
    readonly port: number;
  }): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The URL of the target with the proxy's port in it. */
  static async forUrl(url: string): Promise<{ proxy: FaultProxy; url: string }> {
    const through = new URL(url);
    const proxy = await FaultProxy.start({ host: through.hostname, port: Number(through.port) });
    through.hostname = "127.0.0.1";
    through.port = String(proxy.port);
    return { proxy, url: through.href };
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
  /** How many connections a rule has cut: a test asserts that its fault fired. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Each piece of data waits this long, in both directions. */
  delay(ms: number): void {
    this.#latencyMs = ms;
  }
  /** Swallows everything without closing, as a lost route does. */
  silence(on: boolean): void {
    this.#isSilent = on;
  }
  /** Closes new connections at once. */
  refuse(on: boolean): void {
    this.#isRefusing = on;
  }
  /** The next connection that carries these bytes is cut there; once. */
  cutOnce(rule: CutRule): void {
    this.#cut = rule;
  }
  /** Cuts every connection now. */
  cutAll(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#isRefusing) return void client.destroy();
    const server = connect(this.#target);
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.on("data", (bytes: Buffer) => this.#pass(bytes, "to-server", pair));
    server.on("data", (bytes: Buffer) => this.#pass(bytes, "to-client", pair));
    for (const socket of pair) {
      socket.setNoDelay(true);
      // An error is followed by close, which ends the other side.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
  }

  #pass(bytes: Buffer, direction: Direction, pair: readonly [Socket, Socket]): void {
    if (this.#isSilent || !this.#pairs.has(pair)) return;
    const [client, server] = pair;
    const target = direction === "to-server" ? server : client;
    const rule = this.#cut;
    if (rule?.direction === direction && bytes.includes(rule.at)) {
      this.#cut = null;
      this.#cuts++;
      // From here on the pair carries nothing; the cut waits until the bytes have left.
      this.#pairs.delete(pair);
      target.end(rule.forward ? bytes : "", () => (target === server ? client : server).destroy());
      return;
    }
    if (this.#latencyMs === 0) target.write(bytes);
    else setTimeout(() => target.writable && target.write(bytes), this.#latencyMs);
  }
}
