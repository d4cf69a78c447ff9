/** Tests of routes: read strictly, written as they are read, and as docs/formats/route-test.md has them. */

import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { formatCanonical } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { formatRouteTest, parseRouteTest } from "../../kernel/route-test.ts";
import { codeOf } from "../support/code-of.ts";
import { truncations } from "../support/each-damage.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";

const example = fencedBlocks("docs/formats/route-test.md")("example");

const read = (text: string): string => codeOf(() => parseRouteTest(formatUtf8(text)));

/** The example with other members. */
function changed(members: JsonObject): string {
  const value = parseJson(formatUtf8(example));
  if (!isJsonObject(value)) throw new Error("the example is no object");
  return formatCanonical({ ...value, ...members });
}

describe("a test of routes", () => {
  it("is read and written as the document has it", () => {
    const test = parseRouteTest(formatUtf8(example));
    expect(test.routes.map(({ state }) => state)).toEqual(["answered", "untested"]);
    expect(parseUtf8(formatRouteTest(test))).toBe(example);
  });

  it("is refused cut off anywhere, with a line end, or with white space", () => {
    for (const cut of truncations(example)) expect(read(cut)).toMatch(/^ERR_JSON/u);
    expect([`${example}\n`, example.replace(":", ": ")].map(read)).toEqual([
      "ERR_JSON_CANONICAL",
      "ERR_JSON_CANONICAL",
    ]);
  });

  it.each<readonly [string, JsonObject]>([
    ["another version", { v: 2 }],
    ["another kind", { kind: "route" }],
    ["an unknown member", { more: 1 }],
    ["an unknown state", { routes: [{ server: "crm", state: "open" }] }],
    [
      "a server twice",
      {
        routes: [
          { server: "crm", state: "silent" },
          { server: "crm", state: "answered" },
        ],
      },
    ],
    ["no digest", { boundary: "sha256:0" }],
    ["a place with a line end", { from: "a\nb" }],
    ["an empty place", { from: "" }],
    ["a time of another form", { time: "2026-01-31T12:00:00Z" }],
  ])("is refused with %s", (_, members) => {
    expect(read(changed(members))).toMatch(/^ERR_SHAPE$|^ERR_TIME/u);
  });
});
