import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { METHOD_ROWS, type RequestRule, requestRule } from "../../gateway/wire/methods.ts";
import { ROOT } from "../support/source-files.ts";

const text = readFileSync(join(ROOT, "docs", "gateway.md"), "utf8");

/** The word of the documentation for a rule. */
function wordOf({ rule }: RequestRule): string {
  if (rule === "removed") return "removed";
  if (rule === "forward" || rule === "task") return "forwarded";
  if (rule === "set-level")
    return "answered if a server has `logging`, and passed to each with a session of this agent";
  return rule === "unknown" ? "refused" : "answered";
}

describe("docs/gateway.md", () => {
  it("has the method table, row by row", () => {
    const [, section = ""] = text.split("### Methods");
    const rows = [...section.matchAll(/^\| `([^`]+)` \| (.*) \| (.*) \|$/gmu)].map(([, ...cells]) => cells);
    expect(rows.length).toBeGreaterThan(15);
    expect(rows).toEqual(
      [...METHOD_ROWS].map(([method, { modern, legacy }]) => [method, wordOf(modern), wordOf(legacy)]),
    );
    expect(requestRule("vendor/x", "modern").rule).toBe("unknown");
  });
});
