// Parity with Kafka Streams on cases that nobody has seen: the seed is the time, and is printed. See test/parity.
process.env["MILLRACE_TEST_SEED"] ??= String(Date.now() % 2 ** 31);
process.env["MILLRACE_PARITY_CASES"] ??= "1000";
await import("../parity/parity.test.ts");
