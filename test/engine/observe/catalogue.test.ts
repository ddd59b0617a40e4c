import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyLedger, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { catalogue, ledgerOutcomes } from "../../../src/engine/observe/catalogue.ts";

test("every metric is named once, by Prometheus' conventions, and is explained", () => {
  assert.equal(new Set(catalogue.map((spec) => spec.name)).size, catalogue.length);
  for (const { name, type, help } of catalogue) {
    assert.match(name, /^millrace_[a-z]+(_[a-z]+)*$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.match(help, /^[A-Z0-9].*\.$/, name);
  }
});

test("histograms have buckets that ascend, and nothing else has any", () => {
  for (const { name, type, buckets } of catalogue) {
    assert.equal(buckets !== undefined, type === "histogram", name);
    assert.deepEqual(
      buckets,
      buckets?.toSorted((a, b) => a - b),
      name,
    );
  }
});

test("no label could carry a key, a value or an offset", () => {
  const known = new Set(
    "pipeline part topic partition operator outcome class state kind dependency group version node store from reason code".split(
      " ",
    ),
  );
  for (const { name, labels } of catalogue)
    for (const label of Object.keys(labels)) assert.ok(known.has(label), `${name} ${label}`);
});

test("the outcomes are those of the ledger", () => {
  const one = { ...emptyLedger(), consumed: 1, emitted: 1, deduplicated: 1 };
  one.superseded = one["null-key"] = one.tombstone = 1;
  one["dead-lettered"] = { sink: 1 };
  one.filtered = { step: 1 };
  one.late = { own: 1 };
  const words = Object.keys(ledgerTotals(one)).filter((word) => word !== "consumed");
  assert.deepEqual(words.toSorted(), ledgerOutcomes.toSorted());
});
