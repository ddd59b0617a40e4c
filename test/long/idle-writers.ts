// Both outages of a writing pipeline behind a topic that looks idle.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/time/writers.test.ts");
