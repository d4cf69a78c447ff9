import { describe, expect, it } from "vitest";
import { scopeStage, sessionGate } from "../../gateway/artifact/artifact-stages.ts";
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
