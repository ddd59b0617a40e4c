// `millrace acls`: the rights that worker, operator and reader of a pipeline need in Kafka, Redis and Postgres, as the
// commands that grant them. Connects to nothing.
import { plansNamed } from "../engine/operate/choice.ts";
import { rightsOf, ROLES, type Rights, type Role } from "../engine/provision/rights/rights.ts";
import { readNameSettings } from "../engine/runtime/host/settings.ts";
import { rightsLines, SERVERS, type Server } from "./acl-lines.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type Register } from "./io.ts";
import { usage } from "./option-values.ts";

interface AclOptions {
  readonly role?: string;
  readonly server?: string;
  readonly literal?: boolean;
  readonly json?: boolean;
  readonly worker: string;
  readonly operator: string;
  readonly reader: string;
}

const HELP = `
worker    runs the pipeline: millrace run
operator  topics apply, tables apply, dlq, offsets, state, drain, resume, reprocess with its promotion
reader    lag, describe --live, consume, dlq list, state get, ledger check

Names are granted by prefix where they begin with the pipeline's: topics, groups, and transactional ids of workers, which
begin with MILLRACE_NAMESPACE and MILLRACE_WORKER_PREFIX. With --literal a worker's topics and groups are named one by one;
ask again when the pipeline changes, or when a reprocess run was promoted. Nothing is read from the servers, so give the
settings under which the pipeline runs. Postgres grants of worker and reader are for tables that exist: after tables apply.

Examples:
  $ npx millrace acls customer-orders
  $ npx millrace acls customer-orders --role worker --worker app --server kafka
  $ npx millrace acls customer-orders --server postgres --role operator | psql
  $ npx millrace acls customer-orders --json`;

export const aclsVerb =
  (plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("acls")
      .argument("[pipelines...]", "the names of pipelines; all when left out")
      .option("--role <role>", `only one of ${ROLES.join(", ")}`)
      .option("--server <server>", `only one of ${SERVERS.join(", ")}`)
      .option("--worker <user>", "the user that workers log in as", "millrace_worker")
      .option("--operator <user>", "the user of who applies and operates", "millrace_operator")
      .option("--reader <user>", "the user of who looks", "millrace_reader")
      .option("--literal", "name a worker's topics and groups one by one")
      .option("--json", "print one JSON object a pipeline and role")
      .description("print the rights that a pipeline needs, as the commands that grant them")
      .addHelpText("after", HELP)
      .action((names: readonly string[], options: AclOptions) =>
        run((io) => {
          const { workerName: worker, ...settings } = readNameSettings(io.env);
          const isLiteral = options.literal === true;
          const servers = chosen("--server", options.server, SERVERS);
          const roles = chosen("--role", options.role, ROLES);
          const declared = plans(settings);
          const kafka = { worker, isLiteral, plans: declared };
          const all = plansNamed(declared, names).flatMap((plan) =>
            roles.map((role) => rightsOf(plan, role, options[role], kafka)),
          );
          for (const line of linesOf(all, servers, options)) io.out(line);
          return Promise.resolve(exitCodes.ok);
        }),
      );
  };

const linesOf = (
  all: readonly Rights[],
  servers: readonly Server[],
  { json }: AclOptions,
): readonly string[] =>
  json === true
    ? all.map((rights) => JSON.stringify(rights))
    : servers.flatMap((server) => all.flatMap((rights) => rightsLines(rights, server)));

function chosen<T extends Role | Server>(
  option: string,
  given: string | undefined,
  there: readonly T[],
): readonly T[] {
  if (given === undefined) return there;
  const found = there.filter((one) => one === given);
  if (found.length === 0) throw usage(`${option}: expected ${there.join(", ")}`);
  return found;
}
