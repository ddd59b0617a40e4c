// Small bombs of all four codecs beside a worker.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/kafka/bombs.test.ts");
