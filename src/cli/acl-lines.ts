// Rights as the commands that grant them: kafka-acls and redis-cli for a shell, SQL for psql.
import type { KafkaGrant } from "../engine/provision/rights/kafka.ts";
import type { RedisGrant, Rights } from "../engine/provision/rights/rights.ts";

export type Server = "kafka" | "redis" | "postgres";
export const SERVERS: readonly Server[] = ["kafka", "redis", "postgres"];

/** A comment and its commands; nothing where no right is needed. */
export function rightsLines(rights: Rights, server: Server): readonly string[] {
  const { pipeline, role, user, kafka, redis, postgres } = rights;
  const head = `${pipeline}, ${role}`;
  if (server === "kafka")
    return [
      `# Kafka: ${head}`,
      ...kafkaLines(kafka, user),
      ...rights.unknownWriters.map(elsewhere),
    ];
  if (server === "redis")
    return redis === null
      ? []
      : [`# Redis: ${head}; give the user a password too`, redisLine(redis, user)];
  if (postgres.length === 0) return [];
  const when = role === "operator" ? "before" : "after";
  return [
    `-- Postgres: ${head}; ${when} npx millrace tables apply`,
    ...postgres.map((sql) => `${sql};`),
  ];
}

const elsewhere = (writer: string): string =>
  `# Not known here: the topics that ${writer} reads, and pipelines that write them. Add --operation Describe for each`;

/** Names of a kind with the same rights share one command. */
function kafkaLines(grants: readonly KafkaGrant[], user: string): string[] {
  const alike = Map.groupBy(grants, ({ resource, pattern, operations }) =>
    [resource, pattern, ...operations].join(" "),
  );
  return [...alike.values()].map((group) => kafkaLine(group, principalOf(user)));
}

/** A principal of another type is given as a whole: `Group:operators`. */
const principalOf = (user: string): string => (user.includes(":") ? user : `User:${user}`);

function kafkaLine(grants: readonly KafkaGrant[], principal: string): string {
  const [{ resource, pattern, operations } = grants[0] as KafkaGrant] = grants;
  return [
    'kafka-acls --bootstrap-server "$KAFKA_BROKERS" --add --allow-principal',
    inShell(principal),
    ...operations.map((operation) => `--operation ${operation}`),
    ...grants.map(({ name }) => `--${resource} ${inShell(name)}`),
    ...(pattern === "prefixed" ? ["--resource-pattern-type prefixed"] : []),
  ].join(" ");
}

const redisLine = ({ keys, commands }: RedisGrant, user: string): string =>
  [
    `redis-cli ACL SETUSER ${inShell(user)} on`,
    ...keys.map((key) => inShell(`~${key}`)),
    ...commands.map((command) => `+${command}`),
  ].join(" ");

const inShell = (text: string): string =>
  /^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
