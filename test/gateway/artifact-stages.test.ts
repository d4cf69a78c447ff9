import { describe, expect, it } from "vitest";
import { isInWorkflow, safeStateGate, scopeStage, sessionGate } from "../../gateway/artifact/artifact-stages.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { callOf } from "../support/gateway-run.ts";

describe("an artifact of a session that ends between the gate and the turn of the receipt", () => {
  it("denies the call in every mode, so that no receipt behind the end says that it was sent", async () => {
    let halted: ReasonCode | undefined;
    const sessions = { haltedFor: () => halted, covers: () => true };
    const call = callOf("echo", {});
    expect(sessionGate(sessions).admit(call)).toEqual({ type: "admitted" });
    const look = await scopeStage({ current: () => undefined }, sessions).begin(call, Object());
    halted = "policy.expired";
    expect(look(Object())).toMatchObject({ denials: [{ reason: "policy.expired", step: "health", isFinal: true }] });
  });
});

describe("safe state that begins between the gate and the turn of the receipt", () => {
  it("denies the call in every mode", () => {
    let halted: ReturnType<Parameters<typeof safeStateGate>[0]["halted"]>;
    const gate = safeStateGate({ halted: () => halted });
    const call = callOf("echo", {});
    expect([gate.admit(call), gate.again?.(call)]).toEqual([{ type: "admitted" }, undefined]);
    halted = "measurement.mismatch";
    expect(gate.again?.(call)).toMatchObject({ reason: "measurement.mismatch", step: "health", isFinal: true });
  });
});

describe("the resources of a workflow", () => {
  it("are those under its prefixes, and none that its reader may take for another", () => {
    const scope = { id: "reading", tools: [], resources: ["file:///docs/"] };
    const reads = (name: string): boolean =>
      isInWorkflow(scope, { ...callOf("echo", {}), target: { kind: "resource", name } });
    expect(reads("file:///docs/a/b")).toBe(true);
    for (const name of ["file:///other", "file:///docs/../other", "file:///docs/\t../other", "file:///docs/.. "]) {
      expect([name, reads(name)]).toEqual([name, false]);
    }
  });
});
