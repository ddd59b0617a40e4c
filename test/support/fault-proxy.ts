// A TCP proxy that misbehaves on demand: latency, small slices, a trickle, a silent network, resets, a cut after some
// bytes have passed, an answer of its own. Works for any server, without root, and counts what it has done.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Lane, plain, type Shape } from "./proxy-lane.ts";

export type Direction = "to-server" | "to-client";

export interface CutRule {
  readonly direction: Direction;
  /** What to wait for; then both sides are cut, and what follows is lost. */
  readonly at: string | Buffer | ((bytes: Buffer) => boolean);
  /** Whether these bytes still arrive. */
  readonly forward: boolean;
  /** Nobody is told: the connection stays open and is silent from here on. */
  readonly isSilent?: boolean;
}

interface Target {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly lanes: Readonly<Record<Direction, Lane>>;
  isDeaf: boolean;
}

/** What has happened so far. */
export interface ProxyCounts {
  /** Connections that a rule has cut. */
  cuts: number;
  /** Connections that were broken by `cutAll`. */
  broken: number;
  /** New connections that were not taken. */
  refused: number;
  /** Pieces of data that were held back or sliced. */
  shaped: number;
  /** Pieces of data that vanished. */
  swallowed: number;
  /** Requests that were answered here. */
  answered: number;
}

export class FaultProxy {
  #target: Target;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly counts: ProxyCounts = {
    cuts: 0,
    broken: 0,
    refused: 0,
    shaped: 0,
    swallowed: 0,
    answered: 0,
  };
  #shape: Shape = plain;
  #isSilent = false;
  #isRefusing = false;
  #answer: Buffer | null = null;
  #cut: CutRule | null = null;

  private constructor(target: Target) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  /** Listens on a free loopback port in front of `target`. */
  static async start(target: Target): Promise<FaultProxy> {
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
    return this.counts.cuts;
  }

  /** Each piece of data waits this long, in both directions. */
  delay(ms: number): void {
    this.shape({ latencyMs: ms });
  }
  /** How data travels from now on; what is left out is as on a good network. */
  shape(shape: Partial<Shape> = {}): void {
    const isPlain = Object.values(shape).every((value) => value === 0);
    this.#shape = isPlain ? plain : { ...plain, ...shape };
  }
  /** Swallows everything without closing, as a lost route does. */
  silence(on: boolean): void {
    this.#isSilent = on;
  }
  /** Closes new connections at once. */
  refuse(on: boolean): void {
    this.#isRefusing = on;
  }
  /** Whatever a client says, this is the answer, and the server hears nothing; null ends that. */
  answer(bytes: Buffer | string | null): void {
    this.#answer = bytes === null ? null : Buffer.from(bytes);
  }
  /** Connections that are made from now on go there. */
  retarget(target: Target): void {
    this.#target = target;
  }
  /** The next connection that carries these bytes is cut there; once. */
  cutOnce(rule: CutRule): void {
    this.#cut = rule;
  }
  /** Takes back a rule that did not find its bytes. */
  cutNone(): void {
    this.#cut = null;
  }
  /** Cuts every connection now. */
  cutAll(): void {
    this.counts.broken += this.#pairs.size;
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }
  /** The same with a reset instead of an end, so that both sides hear ECONNRESET. */
  resetAll(): void {
    this.counts.broken += this.#pairs.size;
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.#isRefusing) {
      this.counts.refused++;
      client.on("error", () => undefined);
      return void client.destroy();
    }
    const server = connect(this.#target);
    const lanes = { "to-server": new Lane(server), "to-client": new Lane(client) };
    const pair: Pair = { client, server, lanes, isDeaf: false };
    this.#pairs.add(pair);
    client.on("data", (bytes: Buffer) => this.#pass(bytes, "to-server", pair));
    server.on("data", (bytes: Buffer) => this.#pass(bytes, "to-client", pair));
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // An error is followed by close, which ends the other side.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#pairs.delete(pair);
        for (const lane of Object.values(lanes)) lane.close();
        client.destroy();
        server.destroy();
      });
    }
  }

  #pass(bytes: Buffer, direction: Direction, pair: Pair): void {
    if (!this.#pairs.has(pair)) return;
    if (this.#isSilent || pair.isDeaf) return void this.counts.swallowed++;
    if (this.#answer !== null) return this.#answerTo(pair, direction);
    const rule = this.#cut;
    if (rule?.direction === direction && isThere(rule.at, bytes))
      return this.#cutHere(rule, pair, bytes);
    this.counts.shaped += pair.lanes[direction].push(bytes, this.#shape);
  }

  #answerTo({ client }: Pair, direction: Direction): void {
    if (direction === "to-client" || this.#answer === null) return;
    this.counts.answered++;
    client.write(this.#answer);
  }

  #cutHere(rule: CutRule, pair: Pair, bytes: Buffer): void {
    this.#cut = null;
    this.counts.cuts++;
    const { client, server } = pair;
    const [target, other] = rule.direction === "to-server" ? [server, client] : [client, server];
    if (rule.isSilent === true) {
      if (rule.forward) target.write(bytes);
      pair.isDeaf = true;
      return;
    }
    // From here on the pair carries nothing; the cut waits until the bytes have left.
    this.#pairs.delete(pair);
    target.end(rule.forward ? bytes : "", () => other.destroy());
  }
}

const isThere = (at: CutRule["at"], bytes: Buffer): boolean =>
  typeof at === "function" ? at(bytes) : bytes.includes(at);
