/** Ids of actions about tools: the same ones again, and nothing of the messages that named them. */

import { describe, expect, it } from "vitest";
import { InspectionStages } from "../../gateway/inspection/inspection-stages.ts";
import { toolActionIds } from "../../gateway/policy/tool-action.ts";
import { callOf } from "../support/gateway-run.ts";
import { heldBy } from "../support/held-bytes.ts";

const MESSAGES = 64;
const MESSAGE = 512 * 1024;

describe("the actions about a tool", () => {
  it("have ids that are put together once", () => {
    const ids = toolActionIds("s", "echo");
    expect(ids).toEqual({ call: "s/echo", respond: "respond:s/echo" });
    expect(toolActionIds("s", ["ec", "ho"].join(""))).toBe(ids);
  });

  it("hold no message in which an agent named one", () => {
    const held = heldBy(() => {
      for (let at = 0; at < MESSAGES; at += 1) {
        const name = `a-tool-of-this-server-${at}`;
        toolActionIds("held", `${name}${" ".repeat(MESSAGE)}`.slice(0, name.length));
      }
    });
    expect(held).toBeLessThan((MESSAGES * MESSAGE) / 4);
  });

  it("are not put together for what an agent names as it likes", () => {
    const catalog = (): never => {
      throw new Error("nobody asks for it");
    };
    const { stream } = new InspectionStages({
      catalog,
      mode: () => "enforcing",
      ownRules: () => [],
      phoneRegion: undefined,
    });
    const held = heldBy(() => {
      for (let at = 0; at < MESSAGES; at += 1) {
        stream.watch(callOf("echo", {}, { target: { kind: "resource", name: `${"x".repeat(MESSAGE)}${at}` } }));
      }
    });
    expect(held).toBeLessThan((MESSAGES * MESSAGE) / 4);
  });
});
