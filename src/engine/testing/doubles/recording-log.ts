// A log that keeps its messages, for tests to look at.
import type { LogFacts, Log } from "../../core/ports.ts";

interface LogLine {
  readonly level: keyof Log;
  readonly facts: LogFacts;
  readonly message: string;
}

export class RecordingLog implements Log {
  readonly lines: LogLine[] = [];

  debug(facts: LogFacts, message: string): void {
    this.lines.push({ level: "debug", facts, message });
  }
  info(facts: LogFacts, message: string): void {
    this.lines.push({ level: "info", facts, message });
  }
  warn(facts: LogFacts, message: string): void {
    this.lines.push({ level: "warn", facts, message });
  }
  error(facts: LogFacts, message: string): void {
    this.lines.push({ level: "error", facts, message });
  }

  /** The messages of a level, oldest first. */
  messages(level: keyof Log): readonly string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }
}
