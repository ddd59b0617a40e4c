// Kafka Streams as a contestant: fetched by Maven, compiled on the spot, both kept in the cache of the local stack.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheOf } from "../src/stack/download.ts";
import { startProgram, type Contestant } from "./contestant.ts";

const run = promisify(execFile);
const peer = join(import.meta.dirname, "peers/kafka-streams");
export const KAFKA_STREAMS_VERSION = "4.4.0";

const libraries = (): string =>
  join(cacheOf(process.env), `kafka-streams-${KAFKA_STREAMS_VERSION}`);

export const kafkaStreams: Contestant = {
  name: "kafka streams, 2 threads",
  // It looks for closed windows once a second by the wall clock.
  closedShareMin: 0.5,
  async prepare({ dir, say }) {
    await fetchLibraries(say);
    const sources = join(peer, "src/main/java/peer");
    const files = readdirSync(sources).map((name) => join(sources, name));
    await run("javac", ["-cp", join(libraries(), "*"), "-d", join(dir, "classes"), ...files]);
  },
  start(of) {
    const { world, workload, input, output, id } = of;
    const classPath = [join(world.dir, "classes"), join(libraries(), "*")].join(":");
    const state = join(world.dir, id);
    const args = ["-cp", classPath, "peer.Peer", world.brokers, id, workload];
    args.push(input.topic, output, state);
    const { PATH, HOME } = process.env;
    const program = { command: "java", args, env: { PATH, HOME }, group: id };
    return Promise.resolve(startProgram(of, program));
  },
};

/** The folder appears by one rename when it is whole. */
async function fetchLibraries(say: (line: string) => void): Promise<void> {
  if (existsSync(libraries())) return;
  say(`kafka-streams ${KAFKA_STREAMS_VERSION}: fetching (once)`);
  const partial = `${libraries()}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(cacheOf(process.env), { recursive: true });
  const goal = ["dependency:copy-dependencies", `-DoutputDirectory=${partial}`];
  await run("mvn", ["-B", "-ntp", "-q", "-f", join(peer, "pom.xml"), ...goal]);
  renameSync(partial, libraries());
}
