import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { digestDefinition, digestInstructions, digestSurface } from "../../gateway/catalog/digests.ts";
import { fixturePath } from "../support/fixtures.ts";

interface PinCase {
  readonly id: string;
  readonly text: string;
  readonly model: string;
  readonly full: string;
}

const { cases } = JSON.parse(readFileSync(fixturePath("mcp/pins.json"), "utf8")) as {
  readonly cases: readonly PinCase[];
};

describe("digests of definitions", () => {
  it.each(cases.map((one) => [one.id, one] as const))("equal the recorded ones: %s", (_, { text, model, full }) => {
    expect(digestDefinition("tool", text)).toEqual({ model, full });
  });

  it("differ by kind, and tell apart numbers that a double would round to one", () => {
    const text = '{"name":"a","inputSchema":{"maximum":9007199254740993}}';
    expect(digestDefinition("tool", text)).not.toEqual(digestDefinition("prompt", text));
    expect(digestDefinition("tool", text)).not.toEqual(digestDefinition("tool", text.replace("993", "992")));
    expect(digestDefinition("tool", '{"a":1.0}')).toEqual(digestDefinition("tool", '{"a":1}'));
  });

  it("refuse what is not an object", () => {
    expect(() => digestDefinition("tool", "[]")).toThrow(expect.objectContaining({ code: "ERR_SHAPE" }));
    expect(() => digestDefinition("tool", "{")).toThrow(expect.objectContaining({ code: "ERR_JSON_SYNTAX" }));
  });
});

describe("the digest of a surface", () => {
  const item = (name: string): { name: string; model: string; full: string } => ({
    name,
    ...digestDefinition("tool", `{"name":"${name}"}`),
  });
  const surface = {
    server: "crm",
    capabilities: {},
    instructions: null,
    tools: [item("a"), item("b")],
    prompts: [],
    resourceTemplates: [],
  };

  it("does not depend on the order of the list, and does on every part", () => {
    const digest = digestSurface(surface);
    expect(digestSurface({ ...surface, tools: [item("b"), item("a")] })).toBe(digest);
    expect(digestSurface({ ...surface, server: "other" })).not.toBe(digest);
    expect(digestSurface({ ...surface, instructions: "" })).not.toBe(digest);
    expect(digestSurface({ ...surface, capabilities: { tools: {} } })).not.toBe(digest);
    expect(digestInstructions("a")).not.toBe(digestInstructions("b"));
  });
});
