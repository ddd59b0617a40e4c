import assert from "node:assert/strict";
import { test } from "node:test";
import { crash, send, simulate } from "#testing";
import {
  clicks,
  clickStream,
  lateClicks,
  viewsByUser,
  visits,
  type Views,
} from "../../examples/click-stream.ts";

const at = (minute: number): number => Date.UTC(2026, 0, 1, 9, minute);
const click = (minute: number) => send(clicks, "ann", { page: "/", at: at(minute) });
const shown = ({ value }: { readonly value: Views | null }) =>
  [value?.from, value?.to]
    .map((time) => new Date(String(time)).getUTCMinutes())
    .concat(value?.views ?? 0);

test("the views of a user are counted by five minutes, each once they are over", async () => {
  const { records } = await simulate(clickStream, [click(0), click(4), crash, click(5), click(11)]);
  assert.deepEqual(records(viewsByUser).map(shown), [
    [0, 5, 2],
    [5, 10, 1],
  ]);
});

test("a visit ends when nothing was clicked for half an hour", async () => {
  const steps = [click(0), click(30), crash, click(20), click(61), click(200)];
  const { records, ledger } = await simulate(clickStream, steps);
  assert.deepEqual(records(visits).map(shown), [
    [0, 30, 2],
    [1, 1, 1],
  ]);
  assert.deepEqual(
    records(lateClicks).map(({ value }) => value?.at),
    [at(20)],
  );
  assert.equal(ledger("main")["consumed"], 5);
});
