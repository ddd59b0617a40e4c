// The demo twice on the same servers: what the second run leaves, and the broken customers between them.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../main-job/demo.test.ts");
