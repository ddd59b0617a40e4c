// A database of its own for one test file, on the shared Postgres; dropped at the end.
import { randomBytes } from "node:crypto";
import pg from "pg";
import { sharedStack } from "./stack.ts";

export interface FreshDatabase {
  readonly url: string;
  /** One statement on a connection of its own, as a rival or an operator would send it. */
  query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>;
  /** A connection that the test keeps. */
  connect(): Promise<pg.Client>;
  drop(): Promise<void>;
}

/** `on` is the address of another server. */
export async function freshDatabase(on?: string): Promise<FreshDatabase> {
  const server = on ?? process.env["MILLRACE_TEST_POSTGRES"] ?? (await sharedStack()).DATABASE_URL;
  const name = `test_${randomBytes(6).toString("hex")}`;
  await once(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    query: async <R extends object>(text: string, values: readonly unknown[] = []) =>
      (await once(url.href, text, values)) as R[],
    connect: () => connected(url.href),
    drop: async () => {
      await once(server, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // A test may have the server end this connection.
  client.on("error", () => undefined);
  await client.connect();
  // By default a user's own schema comes first, and ours may have the user's name.
  await client.query("SET search_path = public");
  return client;
}

async function once(url: string, text: string, values: readonly unknown[] = []): Promise<object[]> {
  const client = await connected(url);
  try {
    return (await client.query(text, [...values])).rows as object[];
  } finally {
    await client.end();
  }
}
