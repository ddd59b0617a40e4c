// In the place of the command line, for tests that fail on purpose: a worker with a log and health, and a lag.
import { createServer } from "node:http";

const [verb = ""] = process.argv.slice(2);
const say = (level: string, message: string): void =>
  console.log(JSON.stringify({ level, message }));

if (verb === "lag") console.log("main sales 0: 41 records behind");
else {
  for (let i = 1; i <= 100; i++) {
    say("info", `line ${String(i)} of the log`);
    say("debug", `noise ${String(i)}`);
  }
  createServer((_, answer) => {
    answer.statusCode = 503;
    answer.end(JSON.stringify({ ok: false, reason: "the group has no member" }));
  }).listen(Number(process.env["MILLRACE_HTTP_PORT"]), "127.0.0.1", () => say("info", "listening"));
}
