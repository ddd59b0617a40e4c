// Every verb of the command line, in the order that help lists them.
import { aclsVerb } from "./acls.ts";
import { connectFor, plansOf } from "./connect.ts";
import { consumeVerb } from "./consume.ts";
import { demo } from "./demo.ts";
import { describeVerb } from "./describe.ts";
import { dlqVerb } from "./dlq/dlq.ts";
import { topicFindings } from "./doctor-topics.ts";
import { doctorVerb } from "./doctor.ts";
import { down } from "./down.ts";
import { drainVerb } from "./drain.ts";
import { explain } from "./explain.ts";
import type { Register } from "./io.ts";
import { lagVerb } from "./lag.ts";
import { ledgerVerb } from "./ledger.ts";
import { notesVerb } from "./notes.ts";
import { offsetsVerb } from "./offsets.ts";
import { produceVerb } from "./produce.ts";
import { reprocessVerb } from "./reprocess/reprocess.ts";
import { resumeVerb } from "./resume.ts";
import { run } from "./run.ts";
import { schemas } from "./schemas.ts";
import { stateVerb } from "./state.ts";
import { status } from "./status.ts";
import { tablesVerb } from "./tables.ts";
import { topicsVerb } from "./topics/topics.ts";
import { up } from "./up.ts";

export const verbs: readonly Register[] = [
  up,
  down,
  status,
  doctorVerb((io) => topicFindings(io, connectFor, plansOf)),
  demo,
  schemas,
  topicsVerb(connectFor),
  tablesVerb(connectFor, plansOf),
  aclsVerb(plansOf),
  describeVerb(connectFor, plansOf),
  run,
  produceVerb(connectFor, plansOf),
  consumeVerb(connectFor, plansOf),
  lagVerb(connectFor, plansOf),
  offsetsVerb(connectFor, plansOf),
  notesVerb(connectFor, plansOf),
  drainVerb(connectFor, plansOf),
  resumeVerb(connectFor, plansOf),
  dlqVerb(connectFor, plansOf),
  ledgerVerb(connectFor, plansOf),
  stateVerb(connectFor, plansOf),
  reprocessVerb(connectFor, plansOf),
  explain,
];
