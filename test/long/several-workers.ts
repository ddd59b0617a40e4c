// Workers that come, go, stand still and die, one more of them as a guest for a while.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/workers/several-workers.test.ts");
