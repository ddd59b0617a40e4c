// Every kind of foreign input.
import type { AnyKind } from "../kind.ts";
import { avroKind, schemaKind } from "./avro.ts";
import { batchKind } from "./batches.ts";
import { columnKind } from "./columns.ts";
import { carriedKind, jsonKind, keyKind, taggedKind } from "./json.ts";
import { letterKind } from "./letters.ts";
import { noteKind } from "./notes.ts";
import { metadataKind, timeKind } from "./progress.ts";
import { answerKind, memberKind } from "./protocol.ts";
import { redriveKind } from "./redrives.ts";
import { registryKind } from "./registry.ts";
import { copyKind, entryKind, rowKind } from "./stored.ts";
import { workerKind } from "./workers.ts";

export const kinds: readonly AnyKind[] = [
  ...[noteKind, letterKind, redriveKind, jsonKind, taggedKind, carriedKind, keyKind],
  ...[avroKind, schemaKind, registryKind, batchKind, answerKind, memberKind],
  ...[columnKind, entryKind, metadataKind, rowKind, copyKind, timeKind, workerKind],
];
