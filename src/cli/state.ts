// `millrace state get | verify | rebuild`: what stores hold, and whether their copies are what they should be.
import type { Command } from "commander";
import { runningPlan } from "../engine/operate/gate/running-plan.ts";
import type { PlansOf } from "./connection.ts";
import type { Register } from "./io.ts";
import { onPipeline, type ConnectOperate, writing, type OnPipeline } from "./operating.ts";
import { get, GET_HELP } from "./state-get.ts";
import { verify, VERIFY_HELP } from "./state-copies.ts";
import type { StateOptions } from "./state-options.ts";
import { rebuild, REBUILD_HELP } from "./state-rebuild.ts";

export const stateVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    const state = program.command("state").description("show, verify or rebuild state");
    const within = onPipeline(connect, plans, run, runningPlan);
    addGet(state, within);
    addVerify(state, within);
    addRebuild(state, within);
  };

const addGet = (state: Command, within: OnPipeline): Command =>
  state
    .command("get")
    .argument("<pipeline>")
    .argument("<store>")
    .option("--key <key>", "the key, as text or number")
    .option("--key-base64 <bytes>", "the key's bytes in the store")
    .option("--partition <n>", "only this partition")
    .option("--personal", "show personal data instead of masking it; who does is noted")
    .option("--json", "print one JSON object")
    .description("show one key of a store, as its copy has it and as its changelog says")
    .addHelpText("after", GET_HELP)
    .action((name: string, store: string, options: StateOptions) =>
      within(name, options, (at) => get(at, store)),
    );

const addVerify = (state: Command, within: OnPipeline): Command =>
  state
    .command("verify")
    .argument("<pipeline>")
    .argument("[store]", "all when none is named")
    .option("--partition <n>", "only this partition")
    .option("--repair", "make copies that differ anew, and compare again")
    .option("--show-keys", "show keys instead of their hashes; who does is noted")
    .option("--json", "print one JSON object a store and partition")
    .description("compare copies of state with their changelogs")
    .addHelpText("after", VERIFY_HELP)
    .action((name: string, store: string | undefined, options: StateOptions) =>
      within(name, options, (at) => verify(at, store ?? null)),
    );

const addRebuild = (state: Command, within: OnPipeline): Command =>
  state
    .command("rebuild")
    .argument("<pipeline>")
    .argument("[store]", "all when none is named")
    .option("--partition <n>", "only this partition")
    .option("--dry-run", "show what would be made anew, and what cannot be read")
    .option("--values", "look into the values too, by the schemas of today")
    .option("--repair", "write the last good one again of each entry that cannot be read")
    .option("--yes", "do it without asking")
    .option("--no-wait", "refuse --repair at once while workers run")
    .option("--show-keys", "show keys that may be personal data; who does is noted")
    .option("--json", "print one JSON object a store and partition")
    .description("make copies of state anew from their changelogs")
    .addHelpText("after", REBUILD_HELP)
    .action((name: string, store: string | undefined, options: StateOptions) =>
      within(
        name,
        options,
        writing((at) => rebuild(at, store ?? null)),
      ),
    );
