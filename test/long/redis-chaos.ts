// All that may become of Redis behind a worker whose state is in it.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/state/redis-chaos.test.ts");
