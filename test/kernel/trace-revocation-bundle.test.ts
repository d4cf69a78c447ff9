import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../kernel/json/value.ts";
import {
  type BundleBounds,
  checkRevocationBundle,
  judgeRevocationBundle,
  readRevocationBundle,
} from "../../kernel/trace/revocation-bundle.ts";
import { codeOf } from "../support/code-of.ts";
import { makeRevocation, makeRevocationBundle, revocationSigner, traceSigner } from "../support/trace.ts";

const KEYS = [revocationSigner.publicKey];
const ISSUED = 1_785_000_000;
const BOUNDS: BundleBounds = { nowSeconds: ISSUED, maxAgeSeconds: 3600, maxFutureSkewSeconds: 300 };
const FULL = makeRevocationBundle({ statements: [makeRevocation({}), makeRevocation({ last_valid_entry_id: "10" })] });

const judge = (value: JsonObject | undefined, bounds: Partial<BundleBounds> = {}, keys = KEYS): unknown => {
  const standing = judgeRevocationBundle(value, keys, { ...BOUNDS, ...bounds });
  if (standing.outcome !== "unverified_for_revocation") return standing.outcome;
  return standing.tripped === undefined ? standing.cause : [standing.cause, standing.tripped];
};

describe("a bundle of revocations", () => {
  it("is read and checked with every signature in it", () => {
    checkRevocationBundle(readRevocationBundle(FULL), KEYS);
    expect(judge(FULL)).toBe("verified");
    expect(judge(makeRevocationBundle({}))).toBe("verified");
  });

  it("is no check where there is none, whatever keys are known", () => {
    expect([judge(undefined), judge(undefined, {}, [])]).toEqual(["no_check_performed", "no_check_performed"]);
  });

  it("holds up to both bounds, and one second further not", () => {
    const until = (valid_until: number): JsonObject => makeRevocationBundle({ valid_until });
    const at = (nowSeconds: number): Partial<BundleBounds> => ({ nowSeconds });
    expect(judge(until(ISSUED + 60), at(ISSUED + 60))).toBe("verified");
    expect(judge(until(ISSUED + 60), at(ISSUED + 61))).toEqual(["bundle_expired", "issuer"]);
    expect(judge(until(ISSUED + 9999), at(ISSUED + 3600))).toBe("verified");
    expect(judge(until(ISSUED + 9999), at(ISSUED + 3601))).toEqual(["bundle_expired", "deployment"]);
    expect(judge(until(ISSUED + 60), at(ISSUED + 3601))).toEqual(["bundle_expired", "both"]);
    expect(judge(FULL, at(ISSUED - 300))).toBe("verified");
    expect(judge(FULL, at(ISSUED - 301))).toBe("bundle_issued_in_future");
  });

  it("is not believed with another key, algorithm or signature, in this order", () => {
    expect(judge(FULL, {}, [traceSigner.publicKey])).toBe("bundle_key_untrusted");
    const { sig: _, ...unsigned } = FULL;
    const value = "A".repeat(86);
    expect(judge({ ...unsigned, sig: { alg: "ES256", value } })).toBe("bundle_signature_unsupported");
    expect(judge({ ...unsigned, sig: { alg: "ed25519", value } })).toBe("bundle_signature_invalid");
    expect(judge({ ...unsigned, sig: { alg: "ed25519", value: "***" } })).toBe("bundle_signature_invalid");
  });

  it("is malformed with a member too many or too few, or with a statement about another log", () => {
    for (const name of Object.keys(FULL)) {
      const { [name]: _, ...rest } = FULL;
      expect([name, judge(rest)]).toEqual([name, "bundle_malformed"]);
    }
    expect(judge({ ...FULL, note: "x" })).toBe("bundle_malformed");
    const other = makeRevocationBundle({ statements: [makeRevocation({ log_id: "log.example/b" })] });
    expect(judge(other)).toBe("bundle_malformed");
    expect(codeOf(() => readRevocationBundle(other))).toBe("ERR_TRACE_DOCUMENT");
  });

  it("is refused by a log if a statement in it is signed by a stranger, by the key itself, or falsely", () => {
    const checkOf = (statement: JsonObject): string | undefined => {
      const bundle = readRevocationBundle(makeRevocationBundle({ statements: [statement] }));
      return codeOf(() => checkRevocationBundle(bundle, KEYS));
    };
    expect(checkOf(makeRevocation({}, traceSigner))).toBe("ERR_REVOCATION_KEY");
    const self = makeRevocation({ compromised_key_id: String(makeRevocation({})["revocation_key_id"]) });
    expect(checkOf(self)).toBe("ERR_REVOCATION_KEY");
    expect(checkOf({ ...makeRevocation({}), last_valid_entry_id: "11" })).toBe("ERR_SIGNATURE_INVALID");
  });

  it("is worth nothing with any one character of a signed member changed", () => {
    for (const [name, changed] of Object.entries({
      log_id: "log.example/b",
      issued_at: ISSUED + 1,
      valid_until: ISSUED + 99_999,
      statements: [],
    })) {
      expect([name, judge({ ...FULL, [name]: changed })]).not.toEqual([name, "verified"]);
    }
  });
});
