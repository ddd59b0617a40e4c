// Every error code, with its message, its meaning and the next step. `docs/errors.md` and `millrace explain` are made
// from it. A code is never used again for another meaning.
/* eslint max-lines: off -- a table, one entry a code */
import type { Disposition } from "./errors.ts";

interface ErrorTexts {
  /** The sentence a message begins with; details follow after a colon. */
  readonly message: string;
  readonly meaning: string;
  /** Advice for the operator. */
  readonly action: string;
  /** Nothing fails: it is a warning in the log. */
  readonly onlyWarns?: true;
}

export interface ErrorEntry extends ErrorTexts {
  readonly disposition: Disposition;
}

const retries = {
  MILL_TIME_HISTORY: {
    message: "history is fed into a topic that counts as quiet",
    meaning:
      "Records of the topic have event times more than a day behind the wall clock, and it had no record for its idleAfter. So its time went on by the wall clock, and windows, joins and timers behind it have closed: records of before that still come are late for them (`late`, reason `closed`).",
    action:
      'Where history is fed in, declare the topic with idleAfter: "never" and deploy before it is fed; else let a bounded run read it: npx millrace reprocess run <pipeline>. Where nothing more of the past comes: nothing.',
    onlyWarns: true,
  },
  MILL_SHAPE_UNKNOWN: {
    message:
      "values between two parts have a structure that this version of the pipeline does not know",
    meaning:
      "Another version of the code has made them, and it is not known that this one may read them. The task waits; nothing is lost.",
    action:
      "It goes on by itself when this version has written values of the same structure. Else let the version that wrote them work them off (run it, then: npx millrace drain <pipeline>), or let this one read them: npx millrace resume <pipeline> --accept-shapes",
  },
  MILL_POSTGRES_UNAVAILABLE: {
    message: "Postgres cannot be used now",
    meaning:
      "It is down, restarting, read-only, out of connections or of space, or timed out. Work waits and goes on by itself.",
    action: "Bring Postgres back. No record is lost and none becomes a dead letter.",
  },
  MILL_KAFKA_UNAVAILABLE: {
    message: "Kafka cannot be used now",
    meaning:
      "A broker is away, is electing a leader, or did not answer in time. Work waits and goes on by itself.",
    action: "Bring Kafka back. No record is lost and none becomes a dead letter.",
  },
  MILL_KAFKA_UNKNOWN_OUTCOME: {
    message: "it is not known whether Kafka committed",
    meaning:
      "The reply was lost. The producer is thrown away and committed progress is read again.",
    action: "Nothing.",
  },
  MILL_REGISTRY_UNAVAILABLE: {
    message: "the schema registry cannot be used now",
    meaning:
      "It is down, or did not answer in time. Known schemas go on; records with a new schema wait.",
    action: "Bring the registry back. No record becomes a dead letter because of it.",
  },
  MILL_REDIS_UNAVAILABLE: {
    message: "Redis cannot be used now",
    meaning: "It is down, or did not answer in time. Stateful tasks wait and go on by themselves.",
    action: "Bring Redis back.",
  },
  MILL_REDIS_MEMORY: {
    message: "Redis has no memory left",
    meaning:
      "It stands at maxmemory and refuses writes, as it should. Stateful tasks wait; nothing was written in part.",
    action: "Raise maxmemory, or free memory: redis-cli INFO memory",
  },
  MILL_STATE_REBUILD_LOST: {
    message: "a copy vanished while it was made",
    meaning: "Redis was wiped, restored or failed over meanwhile. The old copy is as it was.",
    action: "Nothing: it is made again.",
  },
  MILL_SWAP_BUSY: {
    message: "the tables are in use",
    meaning:
      "Readers or writers held the tables for longer than the command waits. Nothing was changed.",
    action:
      "Run the command again when they have finished. pg_stat_activity tells what the named processes of Postgres do.",
  },
  MILL_PROMOTE_STUCK: {
    message: "a promotion has waited for too long",
    meaning:
      "The live pipeline, or the workers of the run, did not come to where the promotion needs them. Before the tables have changed places the live pipeline goes on as it was; afterwards the run stays as it is.",
    action: "See what keeps the workers: npx millrace lag. Then run the command again.",
  },
} as const;

const letters = {
  MILL_DECODE_MAGIC: {
    message: "the value does not begin with the magic byte 0",
    meaning: "The bytes are not in the Confluent wire format.",
    action: "Find the producer by the letter's origin, mend it, then redrive.",
  },
  MILL_DECODE_EMPTY: {
    message: "the value is empty",
    meaning: "Zero bytes are no record of this schema.",
    action: "Find the producer by the letter's origin.",
  },
  MILL_DECODE_NO_KEY: {
    message: "the record has no key",
    meaning:
      "The topic's key schema wants one. Zero bytes are a key, though mostly none that can be read; only a record without a key is one of these.",
    action:
      "Mend the producer, or declare the topic's key as nullable(…), then redrive. Records without a key keep no order among each other.",
  },
  MILL_DECODE_UNKNOWN_SCHEMA: {
    message: "the registry has no schema of this id",
    meaning: "The id in the value was not known to the registry, also after the grace time.",
    action: "Register the producer's schema, then redrive.",
  },
  MILL_DECODE_AVRO: {
    message: "the bytes are not a record of the writer's schema",
    meaning: "Truncated, overlong or otherwise broken Avro.",
    action: "Find the producer by the letter's origin.",
  },
  MILL_DECODE_JSON: {
    message: "the bytes are not valid JSON of this topic",
    meaning: "The text does not parse, or the topic's validator refused it.",
    action: "Find the producer by the letter's origin.",
  },
  MILL_DECODE_TEXT: {
    message: "the bytes are not what the key or value schema says",
    meaning: "Invalid UTF-8, or a number of the wrong length.",
    action: "Find the producer by the letter's origin.",
  },
  MILL_DECODE_SCHEMA: {
    message: "the record breaks the topic's contract",
    meaning:
      "It decodes with the writer's schema, but cannot be read as the topic's: an incompatible schema, a number out of range.",
    action: "Compare the writer's schema with the topic's, then redrive.",
  },
  MILL_DECODE_NO_TIMESTAMP: {
    message: "the record has no event time",
    meaning:
      "The topic's timestamp function returned no number of milliseconds from 1970 on (null, a text, a Date, NaN, a number below 0), or the record has no Kafka timestamp that could stand in. Such a record never gets a time of 1970.",
    action:
      "Mend the producer or the topic's timestamp function, then redrive. invalidTimestamp: \"kafka-timestamp\" takes Kafka's timestamp instead.",
  },
  MILL_DECODE_FUTURE_TIMESTAMP: {
    message: "the record's time lies too far ahead of Kafka's timestamp",
    meaning:
      "The time in the value is beyond the record's Kafka timestamp by more than the topic's futureMax. Taken for true, it would close windows for all records that come later. Often it is in microseconds or nanoseconds, which the message then says.",
    action:
      "Mend the producer's clock or the topic's timestamp function, or raise futureMax, then redrive. invalidTimestamp: \"kafka-timestamp\" takes Kafka's timestamp instead.",
  },
  MILL_DECODE_TIMESTAMP_UNIT: {
    message: "the record's time is too small for milliseconds",
    meaning:
      "The time in the value lies before March 1973 although Kafka's timestamp is one of a clock: it looks like seconds, or like a field that was never set.",
    action:
      "Multiply by 1,000 in the topic's timestamp function, or mend the producer, then redrive. invalidTimestamp: \"kafka-timestamp\" takes Kafka's timestamp instead.",
  },
  MILL_DECODE_SHAPE: {
    message: "the value has another structure than this version of the pipeline reads",
    meaning:
      "A letter from a topic between two parts holds what an earlier version of the code made. Nothing says that this version may read it.",
    action:
      "Redrive it with the version that wrote it, or let this version read such values: npx millrace resume <pipeline> --accept-shapes",
  },
  MILL_ENCODE_VALUE: {
    message: "a result cannot be written with the target's schema",
    meaning: "The value has a wrong type, too many decimal places, or a number out of range.",
    action: "Mend the step that made it (for money: round first), then redrive.",
  },
  MILL_RECORD_TOO_LARGE: {
    message: "a result is larger than its topic allows",
    meaning: "The encoded record is over max.message.bytes of the target topic.",
    action: "Make the record smaller, or raise the limit of the topic.",
  },
  MILL_OUTPUT_REFUSED: {
    message: "Kafka refused a record for what it is",
    meaning:
      "The broker will never take this record: its timestamp lies outside of what the topic allows, it has no key and the topic is compacted, a policy of the broker forbids it, or its checksum fails again on new connections. The source record that made it is a dead letter without any other effect; the others of its checkpoint pass.",
    action:
      "The message names the topic and the broker's reason. Mend the record or the topic's settings, then redrive: npx millrace dlq redrive",
  },
  MILL_RULE_BROKEN: {
    message: "a rule of the pipeline does not hold",
    meaning: 'An `expect` with `otherwise: "dead-letter"` returned false.',
    action: "Look at the letter; mend the data or the rule, then redrive.",
  },
  MILL_KEY_FULL: {
    message: "a key has as much in state as its step allows",
    meaning:
      'The step has `whenFull: "dead-letter"`. The record would have opened one window more than `windowsMax` of its key, or would be one record more than `recordsMax` of its key that waits. It has changed nothing.',
    action:
      "See what the key is: npx millrace dlq show <pipeline> <letter>. Raise the bound, shorten the grace, or leave the key out; then redrive the letter, while its windows are open.",
  },
  MILL_DISTINCT_CONFLICT: {
    message: "a repeat says something else than the first of its kind",
    meaning:
      'A `distinct` with `onRepeat: { conflict: "dead-letter" }` saw a record again that should be the same, with other content. The first has passed; this one has not.',
    action:
      "Find out which of the two is right. Redriven within the span it is a conflict again; send a record of its own to correct the first.",
  },
  MILL_REDRIVE_NO_SOURCE: {
    message: "the part does not read the letter's topic any more",
    meaning:
      "A letter was redriven to a part that has been changed and no longer reads the topic that the record came from. It is a letter again.",
    action:
      "Discard it (npx millrace dlq discard), or export it and send the record to where it belongs now.",
  },
  MILL_REDRIVE_UNPROVEN: {
    message: "a record in the redrive topic comes from no letter of the pipeline",
    meaning:
      "A redrive notes each letter that it sends, with a hash of the record, and each is taken once. No such letter is on its way, the record is another one, or it came a second time: something else than Millrace has written it. It was not worked on.",
    action:
      "See who may write the redrive topic: npx millrace acls. Then discard the letter: npx millrace dlq discard <pipeline>",
  },
  MILL_TRANSFORM_THREW: {
    message: "a callback threw",
    meaning: "Callbacks are pure, so the same record would fail again.",
    action: "Mend the step named in the letter, then redrive.",
  },
  MILL_TRANSFORM_RESULT: {
    message: "a callback returned what its step cannot take",
    meaning:
      "It returned undefined (absent is null; of a key function null drops the record), a promise (only mapAsync waits for one), or something that cannot be added, compared or written as a row. The letter names the step and the kind of the value.",
    action: "Mend the step named in the letter, or the data that it reads, then redrive.",
  },
  MILL_CALL_FAILED: {
    message: "a call failed",
    meaning:
      "A mapAsync call rejected, and its step's retries are used up, or the error is one that the step calls fatal.",
    action: "Mend what the step calls, or the record, then redrive.",
  },
  MILL_CALL_TIMEOUT: {
    message: "a call did not answer in time",
    meaning:
      "A mapAsync call had no answer within the step's timeout, and its retries are used up.",
    action: "Mend what the step calls, or give it more time, then redrive.",
  },
  MILL_CALL_BEHIND: {
    message: "the record waited behind one that was given up",
    meaning:
      "Records of a parked key are released in order, or given up together: this one was never called for.",
    action: "Mend what the first letter of the key says, then redrive them in order.",
  },
  MILL_SINK_REFUSED: {
    message: "Postgres refused the row",
    meaning:
      "The row breaks a constraint, does not fit its column, or a trigger or a policy refuses it; the letter has the SQLSTATE. docs/errors.md says which SQLSTATE is a letter, and which waits or stops, docs/postgres.md why.",
    action: "Mend the data or the table, then redrive.",
  },
} as const;

const pauses = {
  MILL_KAFKA_AUTH: {
    message: "Kafka refuses our credentials or rights",
    meaning:
      "Authentication failed, or an access list forbids the operation. A command ends with it. A worker that runs pauses the tasks that need the right, asks again and goes on by itself.",
    action:
      "Check KAFKA_SASL_* and KAFKA_SSL_*, and the access lists. The message names the topic, group or transactional id and the right that is missing; npx millrace acls prints what each role needs.",
  },
} as const;

const fences = {
  MILL_SINK_FENCED: {
    message: "another worker owns this sink task",
    meaning: "The progress row has another epoch or offset than ours.",
    action:
      "Nothing: the task drops what was not committed and takes over again if it is still ours.",
  },
  MILL_KAFKA_FENCED: {
    message: "another worker owns this task",
    meaning:
      "The group has moved on to a new generation, or a newer producer has our transactional id.",
    action: "Nothing: everything that was not committed is dropped.",
  },
} as const;

const halts = {
  MILL_ENGINE_INVARIANT: {
    message: "an invariant of the engine does not hold",
    meaning:
      "A rule that the engine relies on was broken. The task stops rather than write something wrong.",
    action:
      "Keep the log and report it. Restarting the worker is safe: it goes on from committed progress.",
  },
  MILL_CONFIG_INVALID: {
    message: "a setting is missing or wrong",
    meaning:
      "A setting in the environment has a value that cannot be used, or a needed one is missing.",
    action: "Set it as the message says, or start the local stack: npx millrace up",
  },
  MILL_BUILD_NAME_TAKEN: {
    message: "the name is taken",
    meaning:
      "Two operators of one pipeline have the same name. Names are stable ids of stores, topics and metrics.",
    action: "Choose another name for one of them.",
  },
  MILL_BUILD_NAME_INVALID: {
    message: "the name cannot be used",
    meaning:
      "Pipeline and operator names are kebab-case, tables snake_case, at most 60 characters.",
    action: "Rename it.",
  },
  MILL_BUILD_TOPIC_CLASH: {
    message: "two topics cannot stand side by side",
    meaning:
      "Two topics have the same name with different definitions, or differ only in `.` and `_`, which metrics cannot tell apart.",
    action: "Rename one of them, or use one definition.",
  },
  MILL_BUILD_PARTITIONS_DIFFER: {
    message: "partition counts differ",
    meaning:
      "Streams that meet must have equal partition counts, or equal keys would be in different tasks.",
    action: "Rekey one side to the other's number of partitions.",
  },
  MILL_BUILD_KEY_NULL: {
    message: "records without a key would go to a compacted topic",
    meaning:
      "A compacted topic keeps the newest record of each key, so its broker refuses those without one. The stream's keys may be null, and nothing between the source and the topic leaves such records out.",
    action:
      "Filter them out before the topic, or declare a key that is never null. Behind a filter, a record that comes through without a key is a dead letter.",
  },
  MILL_BUILD_KEY_ENCODING: {
    message: "keys are written in different ways",
    meaning:
      "Streams that meet write their keys with different schemas, so equal keys would be in different partitions.",
    action: "Give both topics one key schema.",
  },
  MILL_BUILD_LOOP: {
    message: "a pipeline writes to a topic that the same part reads",
    meaning: "The part would feed itself without end.",
    action: "Write to another topic, or split the pipeline in two.",
  },
  MILL_BUILD_UNUSED: {
    message: "a stream leads nowhere",
    meaning: "The pipeline has a source or a step whose result no sink takes.",
    action: "End the stream in to(topic) or upsertInto(table), or remove it.",
  },
  MILL_BUILD_UNKNOWN: {
    message: "an unknown topic or table",
    meaning: "An operator was given something that topic() or postgresTable() did not make.",
    action: "Import the declaration from topics/ or src/tables/; check the name of the export.",
  },
  MILL_BUILD_FAILED: {
    message: "the pipeline's builder failed",
    meaning: "The function that describes the pipeline threw an error.",
    action: "Mend the builder; the message names the line.",
  },
  MILL_BUILD_DELETES: {
    message: "a table cannot delete rows yet",
    meaning:
      "The pipeline says that keys are deleted downstream, and downstream is a Postgres table, which would keep their rows.",
    action:
      "Write the changes to a topic, where a deleted key is a tombstone; or keep the row and say in a column of it that it does not count.",
  },
  MILL_BUILD_PROGRESS: {
    message: "the progress of a part might not fit into a commit",
    meaning:
      "A task keeps a watermark of every task that writes a topic between parts beside its offset there, with its ledger. Kafka takes 4,096 bytes of it (offset.metadata.max.bytes), and the longest that it may become is more.",
    action:
      "Read a topic with fewer partitions: as many tasks write the topic between the parts. Or use nothing that depends on event time behind it.",
  },
  MILL_BUILD_OPTION: {
    message: "an option of the pipeline cannot be used",
    meaning: "An option or its combination with others has no meaning here.",
    action: "Change it as the message says.",
  },
  MILL_TOPIC_MISSING: {
    message: "a topic does not exist",
    meaning: "`run` never creates anything.",
    action:
      "Create it: npx millrace topics apply. One that is declared `external` is made by its owner; if it is yours, leave `external` out.",
  },
  MILL_TOPIC_LOSES: {
    message: "a change of a topic's settings can lose data",
    meaning:
      "A declared setting keeps less than the topic keeps today, or takes less: shorter retention, another cleanup, smaller records, another clock, fewer copies. Nothing was changed, neither this setting nor anything else.",
    action:
      "If the topic should stay as it is, take the setting out of its declaration, or declare what it has. To do it nevertheless, run the command that the message names: --yes takes the words in brackets, with commas between them.",
  },
  MILL_TOPIC_REPLICAS: {
    message: "a topic has fewer replicas than must be in sync",
    meaning:
      "With min.insync.replicas above its number of replicas a topic takes no record with acks=all, and every task that writes it would wait.",
    action:
      "Set MILLRACE_TOPIC_MIN_INSYNC, or the topic's own min.insync.replicas, to at most its number of replicas, or add replicas (kafka-reassign-partitions).",
  },
  MILL_TOPIC_NOT_MADE: {
    message: "a topic that is made at its first use could not be made",
    meaning:
      "The states of letters and the redrive topic are made by the first command that writes them. Kafka refuses their settings; a missing right is MILL_KAFKA_AUTH.",
    action:
      "As the message says. Every such topic of all pipelines is made by npx millrace topics apply --with-redrive.",
  },
  MILL_TOPIC_PARTITIONS: {
    message: "a topic has another number of partitions than declared or set",
    meaning:
      "Changing the number of partitions moves keys to other tasks, so it is never done silently.",
    action:
      "Set `partitions` in the topic's file to what the topic has and run npx millrace topics apply (docs/operations.md, More partitions), or move the data to a new topic. If the message names MILLRACE_TOPIC_PARTITIONS, the file says no number: set the setting to what it was, or `partitions` in the file.",
  },
  MILL_SCHEMA_STALE: {
    message: "a schema has changed since its types were generated",
    meaning: "The types in schemas/types/ no longer come from the Avro file.",
    action: "Run: npx millrace schemas generate",
  },
  MILL_SCHEMA_INVALID: {
    message: "an Avro file cannot be used",
    meaning: "The file is no valid Avro schema, or uses what has no safe TypeScript type.",
    action: "Mend the file as the message says, then: npx millrace schemas generate",
  },
  MILL_SCHEMA_INCOMPATIBLE: {
    message: "a schema is not compatible with the registered one",
    meaning:
      "Under BACKWARD compatibility a reader with the new schema must be able to read what was written with the old.",
    action: "Give a new field a default, or keep the removed one; else use a new topic.",
  },
  MILL_SCHEMA_UNREGISTERED: {
    message: "a schema is not registered",
    meaning: "The topic's schema has no id in the registry, so nothing can be written with it.",
    action:
      "Register it: npx millrace topics apply. The schema of a topic that is declared `external` is registered by its owner.",
  },
  MILL_TABLE_MISSING: {
    message: "a table does not exist",
    meaning: "`run` never creates anything.",
    action: "Create it: npx millrace tables apply",
  },
  MILL_TABLE_DIFFERS: {
    message: "a table is not what was declared",
    meaning:
      "A column is missing, has another type or cannot be written. No record is at fault, so none becomes a dead letter.",
    action:
      "See the difference, and the SQL for the owner where apply cannot mend it: npx millrace tables plan; then: npx millrace tables apply; tasks that have stopped go on with: npx millrace resume <pipeline>",
  },
  MILL_TABLE_TRIGGER: {
    message: "a trigger of the table fails",
    meaning:
      "A function that Postgres runs with every row fails for all of them: something that it names is missing, or it may not use it. No record is at fault, so none becomes a dead letter.",
    action:
      "Mend the function that the message names, or give the account what it lacks; tasks that have stopped go on with: npx millrace resume <pipeline>",
  },
  MILL_TIMESTAMP_HALT: {
    message: "a record has no usable event time, and its topic says halt",
    meaning:
      'The topic has `invalidTimestamp: "halt"`. The task stands before the record that the message names; nothing from it on was committed.',
    action:
      'Mend the topic\'s timestamp function or raise futureMax, or say invalidTimestamp: "dead-letter" to let such records pass as letters; deploy, then: npx millrace resume <pipeline>',
  },
  MILL_REDRIVE_REFUSED: {
    message: "the letters cannot be redriven so",
    meaning:
      "What was asked would not be what it says: the message tells why. Nothing was changed.",
    action: "Choose other letters, or another way, as the message says.",
  },
  MILL_RULE_HALT: {
    message: "a rule of the pipeline does not hold, and it says halt",
    meaning:
      'An `expect` with `otherwise: "halt"` returned false. Nothing from this record on was committed.',
    action: "Mend the data or the rule, then start the pipeline again.",
  },
  MILL_TRANSFORM_HALT: {
    message: "a callback threw, and the pipeline says halt",
    meaning: 'The pipeline has `onError: "halt"`. Nothing from this record on was committed.',
    action: "Mend the step, then start the pipeline again.",
  },
  MILL_RESOURCE_FAILED: {
    message: "a resource could not be opened",
    meaning: "What mapAsync calls is opened when a worker starts. It could not be.",
    action: "Look at the settings of the resource and at what it connects to, then start again.",
  },
  MILL_POSTGRES_AUTH: {
    message: "Postgres refuses our credentials or rights",
    meaning:
      "The user or password in DATABASE_URL is wrong or missing, the server's pg_hba.conf does not let the user in from here, or the role lacks a privilege that the message names.",
    action:
      "Check DATABASE_URL and the server's pg_hba.conf, then start again. For a privilege: npx millrace acls prints the GRANTs; where a worker runs, then: npx millrace resume <pipeline>",
  },
  MILL_POSTGRES_REFUSED: {
    message: "Postgres refuses to work with us",
    meaning:
      "A database that does not exist, a connection that cannot be secured, or a statement that it does not accept.",
    action:
      "Mend the account or the table (npx millrace tables plan prints the SQL), then start again; where a worker runs: npx millrace resume <pipeline>",
  },
  MILL_KAFKA_REFUSED: {
    message: "Kafka refused a request",
    meaning: "The broker answered with an error that will not go away by itself.",
    action: "The message names the broker's error.",
  },
  MILL_KAFKA_CLIENT: {
    message: "the Kafka client is not the one that was tested",
    meaning:
      "Millrace corrects parts of kafkajs 2.2.4; another version, or a correction that is not in place, could lose or double records.",
    action: "Run: npm ci",
  },
  MILL_REGISTRY_CLIENT: {
    message: "the registry client is not the one that was tested",
    meaning:
      "Millrace uses a part of @kafkajs/confluent-schema-registry 4.1.0 and corrects how it reports failures; in another version, an outage could look like a missing schema.",
    action: "Run: npm ci",
  },
  MILL_REGISTRY_AUTH: {
    message: "the schema registry refuses our credentials or rights",
    meaning: "It answered 401 or 403. The message names the subject or schema and the right.",
    action:
      "Check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD, and the user's rights on the subject.",
  },
  MILL_REDIS_AUTH: {
    message: "Redis refuses our credentials or rights",
    meaning: "The user or password is wrong, or the user may not run one of the commands.",
    action:
      "Check REDIS_URL and the access list: npx millrace acls prints what each role needs, redis-cli ACL LOG what was refused.",
  },
  MILL_REDIS_REFUSED: {
    message: "Redis refused a command",
    meaning: "It answered with an error that will not go away by itself, or TLS was not agreed.",
    action: "The message names the error. Report it if the server is one that is supported.",
  },
  MILL_REDIS_VERSION: {
    message: "Redis is too old",
    meaning: "State needs Redis 6.2 or later.",
    action: "Use a newer Redis. State is made anew from the changelogs.",
  },
  MILL_REDIS_EVICTS: {
    message: "Redis would evict state",
    meaning:
      "With an eviction policy a full Redis removes keys without an error, and sums would be wrong without a word.",
    action: "Run: redis-cli CONFIG SET maxmemory-policy noeviction, and set it in redis.conf.",
  },
  MILL_REDIS_REPLICA: {
    message: "Redis is a replica",
    meaning: "State is written, so it must be the primary.",
    action: "Point REDIS_URL at the primary.",
  },
  MILL_REDIS_CLUSTER: {
    message: "Redis runs in cluster mode",
    meaning: "A worker talks to one Redis server and does not follow keys from node to node.",
    action: "Point REDIS_URL at a server that is not part of a cluster.",
  },
  MILL_STATE_ENTRY: {
    message: "an entry of a store cannot be read by the schema that the store has now",
    meaning:
      "Its schema or validator was changed, and refuses what an earlier version has written. The message names the store and the operators that use it.",
    action:
      "Let it read the old entries too, or give the operator another name, which begins with an empty store; then deploy. Where the schema is right after all: npx millrace resume <pipeline>. An entry that something else has written: npx millrace state rebuild <pipeline> <store> --values --dry-run shows it, and --repair instead of --dry-run writes the last good one again.",
  },
  MILL_STATE_CHANGELOG: {
    message: "an entry of a store's changelog cannot be read",
    meaning:
      "Something else than Millrace has written to the changelog, or a later release. The entry is the newest of its key, so nobody can say what the key's state is. Its task stops; its neighbours go on. The message has topic, partition and offset, and a hash of the key.",
    action:
      "Show every such entry, with what would be written in its place: npx millrace state rebuild <pipeline> <store> --dry-run. Stop the pipeline's workers, then write it, and start them again: npx millrace state rebuild <pipeline> <store> --repair --yes. See who may write the topic: npx millrace acls",
  },
  MILL_STATE_COPY: {
    message: "a copy of state has content that Millrace does not write",
    meaning:
      "Something else has written to its keys in Redis. Workers discard such a copy and make it anew from its changelog (millrace_state_copies_discarded_total). A task stops only when the same happens to the new copy again and again.",
    action:
      "Find out who writes to these keys: npx millrace acls --server redis prints what a worker needs. Then: npx millrace resume <pipeline>",
  },
  MILL_STATE_FORMAT: {
    message: "the copy of a store is of another version",
    meaning: "Another release has written it. It is left as it is.",
    action:
      "Run the release that wrote it, or have the copy made anew from its changelog: npx millrace state verify <pipeline> --repair; then: npx millrace resume <pipeline>",
  },
  MILL_STATE_TYPE: {
    message: "the key of a store's copy does not hold a hash",
    meaning: "Something else has written to this key. It is left as it is.",
    action:
      "Find out who uses the key, then have the copy made anew from its changelog: npx millrace state verify <pipeline> --repair; then: npx millrace resume <pipeline>",
  },
  MILL_BATCH_TOO_LARGE: {
    message: "a record batch would become larger than it may",
    meaning:
      "Decompressed it is larger than MILLRACE_BATCH_BYTES_MAX, or than MILLRACE_BATCH_GROWTH_MAX times the topic's max.message.bytes. No memory was taken for it. Its task stops when everything before it is done; the others go on.",
    action:
      "Raise the setting that the message names, with memory for it, and start again. Or pass over the batch: stop the pipeline's workers and run the npx millrace offsets reset of the message. Its records are lost to this pipeline then. Other readers, such as consume, take the setting too, or begin behind it.",
  },
  MILL_BATCH_CORRUPT: {
    message: "a record batch is none",
    meaning:
      "Its checksum is right, so the bytes are what its producer sent, but they are no records. Its task stops when everything before it is done; the others go on.",
    action:
      "Find out who wrote it. To pass over the batch, stop the pipeline's workers and run the npx millrace offsets reset of the message; its records are lost to this pipeline then. Other readers, such as consume, begin behind it.",
  },
  MILL_BATCH_FORMAT: {
    message: "a record batch is in a format that is not known",
    meaning:
      "It is compressed by a codec other than gzip, snappy, lz4 and zstd, or in a message format other than 2, which Kafka writes since 0.11. Its task stops when everything before it is done; the others go on.",
    action:
      "Have the topic rewritten by a newer client. To pass over the batch, stop the pipeline's workers and run the npx millrace offsets reset of the message; its records are lost to this pipeline then. Other readers, such as consume, begin behind it.",
  },
  MILL_NOTE_INVALID: {
    message: "a note of the pipeline cannot be read",
    meaning:
      "Something else has written to the topic of the pipeline's notes, or of the states of its letters. The last good note of the same key counts as long as the topic has it. This one has none any more, and nobody can know what it said, so nobody goes on without it. The message has its topic, partition, offset and key.",
    action:
      "Show the notes: npx millrace notes show <pipeline>. Write the last good one again, or take the note away: npx millrace notes repair <pipeline> --yes. Then see who may write the topic: npx millrace acls",
  },
  MILL_OUTBOX_INVALID: {
    message: "a row of millrace.letters cannot be read",
    meaning:
      "Something else than Millrace has written to the outbox of a table's task. Its letter is not known, so nothing is sent in its place. The task stops, since letters go out in order; its neighbours go on.",
    action:
      "Look at the row in Postgres, by what the message names, and see who may write the schema millrace: npx millrace acls --server postgres. Mend the row, or delete it where it is no letter of the task; then: npx millrace resume <pipeline>",
  },
  MILL_RUN_INVALID: {
    message: "a row of millrace.runs cannot be read",
    meaning:
      "Something else than Millrace, or a later release, has written the row of a run. No step of a run is taken by it, and no other run of the pipeline begins beside it.",
    action:
      "After an upgrade that was taken back, use the later release. Else look at the row in Postgres, and see who may write the schema millrace (npx millrace acls --server postgres). Write again what the message names; where nothing of the run is needed any more, delete the row, and what the run has made: npx millrace topics prune <pipeline> shows it.",
  },
  MILL_PROGRESS_INVALID: {
    message: "what is stored beside committed progress cannot be read",
    meaning:
      "Something else than Millrace, or a later release, has written the metadata of the group's offset, or the ledger of the progress row. The offset says where to go on; the task's ledger and its stream time are not known. A tool that commits an offset alone, as kafka-consumer-groups does, leaves no metadata: it is refused where windows, or other steps that go by time, would take for on time what was late. Its neighbours go on.",
    action:
      "After a downgrade, run the later release again. Else stop the pipeline's workers and run the npx millrace offsets reset of the message: the task goes on from the same offset, its ledger begins at zero, and its stream time with the next record. See who may commit offsets of the group, or write the schema millrace: npx millrace acls",
  },
  MILL_SOURCE_OFFSET_GONE: {
    message: "committed progress lies outside the topic",
    meaning:
      "Retention has removed records that were not read yet, or the log has lost its end. The task goes nowhere by itself, since records would be skipped without a word.",
    action:
      "Stop the pipeline's workers and decide where to go on: npx millrace offsets reset; the message has the whole command. Records of a gap are lost to this pipeline.",
  },
  MILL_SOURCE_PROGRESS_LOST: {
    message: "progress is gone although this task has run before",
    meaning:
      "The group's offsets were deleted or have expired. Beginning anew would double everything.",
    action:
      "Stop the pipeline's workers and decide where to go on: npx millrace offsets reset; the message has the whole command.",
  },
  MILL_SOURCE_TOPIC_RECREATED: {
    message: "a topic was deleted and made anew",
    meaning:
      "The topic's id is not the one in which the task began, so committed offsets mean nothing in it.",
    action:
      "Stop the pipeline's workers and decide where to begin in the new topic: npx millrace offsets reset; the message has the whole command.",
  },
  MILL_SOURCE_VERSIONS: {
    message: "workers of one group run different versions of the pipeline",
    meaning:
      "The version that leads the group reads other topics than this worker's, so what it gave out does not fit. Or a part has another name since this version, and workers of the earlier one still read its topics under the old name. Nothing of it is read here.",
    action:
      "Finish the deploy: when the last worker of the other version has left, tasks go on by themselves.",
  },
  MILL_GROUP_RELEASE: {
    message: "workers of another release are members of the pipeline's groups",
    meaning:
      "They store other bytes than this release, and cannot read what it would write. Nothing was changed.",
    action:
      "Stop all workers of the other release; the message names one of them. Then go on as docs/upgrading.md says.",
  },
  MILL_PIPELINE_HALTED: {
    message: "too many dead letters",
    meaning:
      "More of the last records of a task became dead letters than the pipeline's haltWhen allows. Everything before that record is committed; all tasks of the pipeline stand still, in every worker and after a restart too.",
    action:
      "See why in the dead letters, mend the cause, then: npx millrace resume <pipeline>. It begins to count anew. To allow more until it is resumed again: npx millrace resume <pipeline> --halt-above 20%. While one process runs: npx millrace run <pipeline> --halt-above 20%, or whatever comes: npx millrace run <pipeline> --no-breaker",
  },
  MILL_GATE_HELD: {
    message: "somebody else holds the pipeline's gate",
    meaning:
      "The pipeline was halted, drained or closed by another command or by the breaker, and only who did it opens it again.",
    action: "Let that command end, or end what it has begun. The message names it.",
  },
  MILL_LETTER_ORIGINAL_GONE: {
    message: "the original of a dead letter is not there any more",
    meaning:
      "The letter was too large for its topic and names its record instead, and that record is gone or is another one.",
    action: "Produce the record again from where it came, and discard the letter.",
  },
  MILL_OFFSETS_ACTIVE: {
    message: "the group has members",
    meaning:
      "Progress is changed only while nobody moves it. The message names the members. The command has waited for a session's time and 5 s, unless --no-wait was given; so these are at work, or have a longer session (MILLRACE_SESSION_TIMEOUT_MS).",
    action: "Stop the pipeline's workers, then run it again.",
  },
  MILL_OFFSETS_STATE: {
    message: "stores would count records twice",
    meaning:
      "Records that a store has counted already would be read again, and the store stays as it is.",
    action:
      "Begin anew with empty stores: --to earliest --with-state; or choose a place that is not before committed progress.",
  },
  MILL_OFFSETS_OUTSIDE: {
    message: "an offset lies outside the topic",
    meaning: "A task that was put there would stop at once. Nothing was changed.",
    action: "Choose one within the range that the message names: npx millrace offsets show",
  },
  MILL_DUE_FAILED: {
    message: "what was due cannot be worked",
    meaning:
      "An entry of state that was due cannot be worked, and its operator cannot pass over it either. The task has stopped in front of it; nothing is lost, and it is due again. A result that a step behind cannot take does not do this, and neither does a key that its schema no longer decodes: it is a dead letter of the class result.",
    action:
      "Mend the step that the message names and deploy it, then: npx millrace resume <pipeline>",
  },
  MILL_KEY_FULL_HALT: {
    message: "a key has as much in state as its step allows, and the step asks for a halt",
    meaning:
      'The step has `whenFull: "halt"`, and the next record would pass `windowsMax` or `recordsMax` of its key. The task has stopped in front of it; nothing is lost.',
    action:
      'Raise the bound, or say whenFull: "dead-letter" or "evict"; deploy, then: npx millrace resume <pipeline>',
  },
  MILL_SUPPRESS_FULL: {
    message: "more keys wait in a suppress than it allows",
    meaning:
      'The step has `whenFull: "halt"`, and recordsMax keys of this task wait for their spans to end. The task has stopped in front of the change of one more key; nothing is lost.',
    action:
      'Raise recordsMax or shorten `for`, or say whenFull: "emit" to let the key go on whose span is the oldest; deploy, then: npx millrace resume <pipeline>',
  },
  MILL_STATE_CHANGED: {
    message: "a store is not what it was",
    meaning:
      "The changelog was written by another kind of operator, with other keys or values, or in another part of the pipeline. Going on would mix the two.",
    action:
      "Give the operator a new name, which is a new store; or stop the workers and begin anew with empty stores: npx millrace offsets reset <pipeline> --to earliest --with-state",
  },
  MILL_SWAP_REFUSED: {
    message: "a table cannot take the place of the live one",
    meaning:
      "Something hangs on the live table that cannot follow: a trigger, a rule, a materialized view, a publication, a function or a column that the new table lacks. Nothing was changed.",
    action:
      "Remove what the message names, or carry it over by hand afterwards; then run the command again.",
  },
  MILL_STACK_MISSING: {
    message: "a part of the local stack is missing",
    meaning: "A program that the local stack needs is not installed.",
    action: "Run: npx millrace doctor",
  },
  MILL_STACK_RUNNING: {
    message: "a stack of another kind is up in this folder",
    meaning: "The local stack runs either in Docker or as processes, not both at once.",
    action: "Run: npx millrace down",
  },
  MILL_STACK_FAILED: {
    message: "a server of the local stack did not start",
    meaning: "It ended early or was not ready in time.",
    action: "Read its log under .millrace/logs, then: npx millrace doctor",
  },
  MILL_STACK_CHECKSUM: {
    message: "a program of the local stack is not the one that is pinned",
    meaning:
      "A file that was fetched for the local stack, or that lies in its cache, has another SHA-256 than src/stack/checksums lists, or is not on the list. Nothing of it was run.",
    action: "If you did not change it, find out who did. The message has the command that goes on.",
  },
  MILL_RUN_ACTIVE: {
    message: "another run of the pipeline is not finished",
    meaning:
      "One run of the reprocessor at a time works on a pipeline. The message names the run that is at work, or that was left unfinished.",
    action:
      "Wait for it, go on with it (npx millrace reprocess run <pipeline> --resume), or end it (npx millrace reprocess cancel <pipeline>).",
  },
  MILL_RUN_STATE: {
    message: "the run is not in a state for this",
    meaning: "What was asked for fits another state of the run. Nothing was changed.",
    action: "See where it is: npx millrace reprocess status <pipeline>",
  },
  MILL_RUN_RANGE: {
    message: "the range cannot be read",
    meaning:
      "A partition lacks a part of the range, or the range is no range. Nothing is left out in silence, so nothing was started.",
    action:
      "Choose a range that is there: npx millrace reprocess plan <pipeline>. `--from earliest` takes what there is.",
  },
  MILL_RUN_FAILED: {
    message: "the run has failed",
    meaning:
      "A task of the run has stopped, its workers have ended, or there were more dead letters than allowed. The live pipeline is as it was.",
    action:
      "Mend what the message names, then go on where it stands: npx millrace reprocess run <pipeline> --run <n>. Or remove what it has left: npx millrace reprocess drop <pipeline> --run <n>",
  },
  MILL_DATA_INVALID: {
    message: "a file cannot be read as records of the topic",
    meaning:
      "A line is not what the topic's schema says. The records of the lines before it were sent, unless the message says that nothing was.",
    action:
      "Mend the line and column that the message names, then go on with its --from-line. All problems at once: npx millrace produce <topic> --file <path> --check. To leave such rows out: --on-invalid skip, or --on-invalid reject-file <path>.",
  },
  MILL_IMPORT_BEGUN: {
    message: "a part of this file was sent before",
    meaning:
      "An earlier produce of the file ended before the end of it. The command would send some of its rows a second time.",
    action:
      "Give the command that the message names, which goes on behind the last row that was sent. To send the rows once more, or where the file has another content now, add --again.",
  },
  MILL_DEMO_FAILED: {
    message: "a step of the demo failed",
    meaning: "A command that the demo ran for you did not succeed; its own message stands above.",
    action: "Run: npx millrace doctor",
  },
  MILL_USAGE: {
    message: "the command was not understood",
    meaning: "An option or an argument is missing or wrong.",
    action: "Add --help to the command.",
  },
  MILL_NOT_FOUND: {
    message: "not found",
    meaning: "There is nothing of that name.",
    action: "Check the name.",
  },
} as const;

const ofOne = <T extends Readonly<Record<string, ErrorTexts>>>(
  disposition: Disposition,
  texts: T,
): Record<keyof T, ErrorEntry> =>
  Object.fromEntries(
    Object.entries(texts).map(([code, own]) => [code, { ...own, disposition }]),
  ) as Record<keyof T, ErrorEntry>;

export type ErrorCode =
  | keyof typeof retries
  | keyof typeof letters
  | keyof typeof pauses
  | keyof typeof fences
  | keyof typeof halts;

export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = {
  ...ofOne("retry", retries),
  ...ofOne("dead-letter", letters),
  ...ofOne("pause", pauses),
  ...ofOne("fence", fences),
  ...ofOne("halt", halts),
};

export const entryOf = (code: ErrorCode): ErrorEntry => errorTable[code];
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text);
