// Recording a step of a run takes a while, so that a command can be killed at it: what the step is recorded for has not
// begun yet.
import { eventually } from "./eventually.ts";
import type { FreshDatabase } from "./fresh-database.ts";
import type { ReprocessRun } from "./reprocess-run.ts";

const SLOW = `
CREATE TABLE slow_step (step text);
CREATE FUNCTION slowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.step IS DISTINCT FROM OLD.step AND EXISTS (SELECT FROM public.slow_step s WHERE s.step = NEW.step))
    OR (NEW.state <> OLD.state AND EXISTS (SELECT FROM public.slow_step s WHERE s.step = NEW.state)) THEN
    PERFORM pg_sleep(1.5);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER slowed BEFORE UPDATE ON millrace.runs FOR EACH ROW EXECUTE FUNCTION slowed();`;

export class SlowSteps {
  readonly #database: FreshDatabase;

  private constructor(database: FreshDatabase) {
    this.#database = database;
  }

  /** In a database that has the table of runs. */
  static async in(database: FreshDatabase): Promise<SlowSteps> {
    await database.query(SLOW);
    return new SlowSteps(database);
  }

  /** Kills the command while it records the step, which may be a state; resolves when its locks are free. */
  async killAt(step: string, begin: () => ReprocessRun): Promise<void> {
    const before = await this.#locks();
    await this.#database.query("INSERT INTO slow_step VALUES ($1)", [step]);
    const command = begin();
    const isThere = async (): Promise<true | null> => ((await this.#isRecording()) ? true : null);
    await eventually(`it records ${step}: ${command.lines.join("; ")}`, isThere);
    command.kill("SIGKILL");
    await command.exit;
    await this.#database.query("DELETE FROM slow_step");
    // The server does not notice: what it was told to record it records.
    await eventually("nothing is on its way", async () =>
      !(await this.#isRecording()) && (await this.#locks()) <= before ? true : null,
    );
  }

  async #isRecording(): Promise<boolean> {
    const found = await this.#database.query(`
      SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`);
    return found.length > 0;
  }

  /** Of processes that are alone at something. */
  async #locks(): Promise<number> {
    const found = await this.#database.query(`
      SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
      WHERE locktype = 'advisory' AND datname = current_database()`);
    return found.length;
  }
}
