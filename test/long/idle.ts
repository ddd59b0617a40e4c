// All outages behind an idle topic, a worker that stands still between two parts among them.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/time/idle.test.ts");
