/** The verifier over the primitives that a browser has: the verdicts are those of Node. */

import { describe, expect, it, vi } from "vitest";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { makeEvidence, verify, wordsOf } from "../support/evidence.ts";
import { ORIGIN, seedOf, witnesses } from "../support/log-keys.ts";
import { gatewayKeys } from "../support/receipts.ts";

vi.mock("#crypto", () => import("../../kernel/crypto/browser.ts"));

describe("in a browser", () => {
  it("honest evidence passes", async () => {
    const { implementations } = await import("#crypto");
    expect(implementations.ed25519).toContain("noble");
    const evidence = await makeEvidence();
    expect([verify(evidence).exit, wordsOf(verify(evidence))]).toEqual([0, {}]);
  });

  it.each([
    ["a wrong log key", { signer: makeLogSigner(ORIGIN, seedOf(99)) }, "log.signature", "ERR_LOG_SIGNATURE"],
    ["one witness", { cosigned: witnesses.slice(0, 1).map((by) => ({ by })) }, "log.quorum", "ERR_QUORUM"],
    ["a dropped tail", { shown: (place: number) => place !== 9 }, "stream.continuity", "ERR_STREAM_TAIL"],
  ])("%s is refused with the same code", async (_, options, id, code) => {
    const result = verify(await makeEvidence(options));
    expect([result.exit, wordsOf(result)[id]]).toEqual([1, code]);
  });

  it("composite and P-256 keys are judged too", async () => {
    for (const alg of ["es256", "mldsa65-ed25519"] as const) {
      const evidence = await makeEvidence({ keys: gatewayKeys(40, alg) });
      expect([alg, wordsOf(verify(evidence))]).toEqual([alg, {}]);
    }
  });
});
