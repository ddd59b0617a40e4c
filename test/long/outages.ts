// Every outage of every server behind a running worker, Postgres away for 20 seconds.
process.env["MILLRACE_TEST_WHOLE"] = "1";
await import("../system/outages/outages.test.ts");
