import { describe, expect, it } from "vitest";
import { present } from "../../kernel/receipt/observed.ts";
import { signReceipt } from "../../kernel/receipt/receipt.ts";
import { judgeReplay } from "../../verifier/replay.ts";
import { gatewayKeys, receiptBodies } from "../support/receipts.ts";

describe("a decision under a session artifact", () => {
  it("is not decided again by the gateway's bundle alone, whatever an engine says of that", () => {
    const body = receiptBodies().decision;
    const digest = `sha256:${"ab".repeat(32)}`;
    const policy = present({ digest, version: "1", artifact: present(digest), session_artifact: digest });
    const { receipt } = signReceipt({ ...body, policy }, [gatewayKeys().receipt]);
    if (receipt.kind !== "decision") throw new Error("not a decision");
    const engine = {
      decide: () => {
        throw new Error("asked");
      },
    };
    expect(judgeReplay([receipt], [], engine)).toMatchObject({
      verdict: "not_established",
      reason: "replay.policy-not-disclosed",
    });
  });
});
