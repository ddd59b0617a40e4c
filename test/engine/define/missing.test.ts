// A method that a stream does not have: JavaScript would only say that it is no function.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import { ConfigErrors, type MillraceError } from "../../../src/engine/core/errors.ts";
import { json, pipeline, string, topic } from "#engine";

const sales = topic("sales", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

/* eslint-disable @typescript-eslint/no-explicit-any -- calls without types, as of JavaScript */
const building = (draw: (stream: any) => unknown) => (): unknown =>
  pipeline("untyped", ({ from }) => {
    draw(from(sales));
  }).plan();

test("calling what is not there says what there is, and where it is described", () => {
  const cases: readonly [string, (stream: any) => unknown, RegExp][] = [
    ["windowedBy", (s) => s.windowedBy("minute"), /a stream, which has map, flatMap, .*upsertInto/],
    ["mapValues", (s) => s.map("m", (v: number) => v).mapValues(), /a stream, which has map/],
    ["cogroup", (s) => s.groupByKey().cogroup(), /a grouped stream, which has .*sum, .*avg/],
    ["toKTable", (s) => s.groupByKey().count("n").toKTable(), /a table, which has .*toStream/],
  ];
  for (const [name, draw, there] of cases)
    assert.throws(building(draw), (error) => {
      assert.ok(error instanceof ConfigErrors, String(error));
      const [{ code, message, cause }] = error.problems as [MillraceError];
      assert.ok(code === "MILL_BUILD_FAILED" && cause instanceof TypeError, String(cause));
      const said = `pipeline "untyped": test/engine/define/missing.test.ts:\\d+  ${name} is not a method of `;
      assert.match(message, new RegExp(said));
      assert.match(message, there);
      assert.match(message, /\. docs\/operators\.md says what each does$/);
      assert.doesNotMatch(message, /constructor|next,/);
      return true;
    });
});

test("windows are made by a function: what is none is named, with those that there are", () => {
  for (const given of [undefined, "minute", {}, { kind: "tumbling" }])
    assert.throws(
      building((s) => s.groupByKey().windowedBy(given).count("n").toStream("t", String)),
      ({ problems }: ConfigErrors) => {
        const expected =
          /windowedBy: expected tumbling\(…\), .*session\(…\) or countWindow\(…\), received/;
        assert.match(String(problems[0]?.message), expected);
        return true;
      },
    );
});

test("a stream is still a plain value to whoever looks at it", () => {
  const look = building((stream) => {
    assert.equal(stream.then, undefined);
    assert.equal("windowedBy" in stream, false);
    assert.equal(typeof stream.toString(), "string");
    assert.doesNotThrow(() => inspect(stream, { depth: 0 }));
    stream.to(topic("out", { key: string, value: json<number>(), partitions: 1, owner: "tests" }));
  });
  assert.doesNotThrow(look);
});
