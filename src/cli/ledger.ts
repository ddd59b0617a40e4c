// `millrace ledger check`: whether every record that was consumed has one outcome.
import { ledgerTotals } from "../engine/core/ledger.ts";
import { plansNamed } from "../engine/operate/choice.ts";
import { checkLedgers, isBalanced, type PartLedger } from "../engine/operate/ledger-check.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { operating, type ConnectOperate } from "./operating.ts";
import { grouped } from "./progress.ts";
import { tableLines } from "./table-lines.ts";

const HELP = `
Checked for every task, in what its last commit has decided: the records that it consumed are the sum of their outcomes,
and they are no more than the offsets it has passed since it began. (Fewer is right: commit markers and gaps of
compaction take offsets and are no records.)

Exit codes: 0 every ledger balances · 1 one does not · 3 no such pipeline · 69 a server is away.

Examples:
  $ npx millrace ledger check
  $ npx millrace ledger check retail --json`;

export const ledgerVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    const ledger = program.command("ledger").description("show where every record ended");
    ledger
      .command("check")
      .argument("[pipeline...]", "pipelines to check; all when none is named")
      .option("--json", "print one JSON object a part")
      .description("check that every consumed record has one outcome")
      .addHelpText("after", HELP)
      .action((names: string[], { json }: { json?: boolean }) =>
        run((io) =>
          operating(connect, io, async (ports, connection) => {
            const parts = await checkLedgers(plansNamed(plans(connection), names), ports);
            return print(io, parts, json === true);
          }),
        ),
      );
  };

function print(io: CliIo, parts: readonly PartLedger[], isJson: boolean): number {
  for (const line of isJson ? parts.map(jsonLine) : textLines(parts)) io.out(line);
  return parts.every(isBalanced) ? exitCodes.ok : exitCodes.failure;
}

const jsonLine = (part: PartLedger): string =>
  JSON.stringify({ ...part, isBalanced: isBalanced(part) });

function textLines(parts: readonly PartLedger[]): readonly string[] {
  const header = ["PIPELINE", "PART", "TASKS", "CONSUMED", "OUTCOMES", "VERDICT"];
  const rows = parts.map((part) => {
    const { consumed = 0, ...outcomes } = ledgerTotals(part.ledger);
    const texts = Object.entries(outcomes).map(([name, n]) => `${name} ${grouped(n)}`);
    const names = [part.pipeline, part.part, String(part.tasks), grouped(consumed)];
    return [...names, texts.join(", ") || "none", verdictOf(part)];
  });
  return tableLines([header, ...rows]);
}

function verdictOf(part: PartLedger): string {
  if (isBalanced(part)) return part.tasks === 0 ? "has not run" : "balanced";
  const { imbalance, overrun, unknown } = part;
  const wrong: [number, string][] = [
    [imbalance, "records without one outcome"],
    [overrun, "tasks that consumed more than there was"],
    [unknown, "tasks whose progress has no ledger"],
  ];
  return wrong
    .filter(([n]) => n !== 0)
    .map(([n, what]) => `${grouped(n)} ${what}`)
    .join("; ");
}
