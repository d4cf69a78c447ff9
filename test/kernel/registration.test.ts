/** Registrations: two keys that ask for admission to a log. */

import { describe, expect, it } from "vitest";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseRegistration, type RegistrationBody, signRegistration } from "../../kernel/registration.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { ORIGIN } from "../support/log-keys.ts";
import { gatewayKeys, STREAM_START_MS } from "../support/receipts.ts";

const keys = gatewayKeys();
const other = gatewayKeys(90);
const BODY: RegistrationBody = {
  kind: "registration",
  v: 1,
  origin: ORIGIN,
  instance_key: formatPublicKey(keys.instance.publicKey),
  receipt_key: formatPublicKey(keys.receipt.publicKey),
  evidence: { type: "software" },
  label: "gateway 1",
  time: formatTimestamp(STREAM_START_MS),
};

const bytes = signRegistration(BODY, keys.instance, keys.receipt);

/** What reading a registration with these members, signed by these keys, says. */
function verdict(members: object, signers: readonly EnvelopeSigner[] = [keys.instance, keys.receipt]): string {
  return codeOf(() => parseRegistration(canonicalBytes(signEnvelope({ ...BODY, ...members }, signers))));
}

describe("a registration", () => {
  it("comes back from its bytes with the keys that it admits", () => {
    const { registration, keys: read } = parseRegistration(bytes);
    expect(canonicalBytes(registration)).toEqual(bytes);
    expect(registration).toMatchObject(BODY);
    expect(read).toEqual({ instance: keys.instance.publicKey, receipt: keys.receipt.publicKey });
    const { label: _, ...unnamed } = BODY;
    expect(codeOf(() => parseRegistration(signRegistration(unnamed, keys.instance, keys.receipt)))).toBe("accepted");
  });

  it("is refused after any change of one byte, and after any truncation", () => {
    const accepted: number[] = [];
    for (let at = 0; at < bytes.length; at += 1) {
      const damaged = bytes.slice();
      damaged[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      if (codeOf(() => parseRegistration(damaged)) === "accepted") accepted.push(at);
      if (codeOf(() => parseRegistration(bytes.subarray(0, at))) === "accepted") accepted.push(-at);
    }
    expect(accepted).toEqual([]);
    expect(codeOf(() => parseRegistration(new Uint8Array(65_536)))).toBe("ERR_ENTRY_LENGTH");
  });

  it("is signed by its two keys, which differ, and by no other", () => {
    expect(verdict({})).toBe("accepted");
    expect(verdict({}, [keys.instance])).toBe("ERR_STREAM_KEY");
    expect(verdict({}, [keys.receipt])).toBe("ERR_STREAM_KEY");
    expect(verdict({}, [keys.instance, other.receipt])).toBe("ERR_STREAM_KEY");
    expect(verdict({}, [keys.instance, keys.receipt, other.receipt])).toBe("ERR_STREAM_KEY");
    expect(verdict({ receipt_key: BODY.instance_key }, [keys.instance])).toBe("ERR_STREAM_KEY");
  });

  it("has the members of its format and no others", () => {
    expect(verdict({ extra: 1 })).toBe("ERR_SHAPE");
    expect(verdict({ v: 2 })).toBe("ERR_SHAPE");
    expect(verdict({ evidence: { type: "tpm" } })).toBe("ERR_SHAPE");
    expect(verdict({ evidence: { type: "software", quote: "" } })).toBe("ERR_SHAPE");
    expect(verdict({ time: "2023-11-14" })).toBe("ERR_SHAPE");
    for (const label of ["", " a", "a\n", "ä", "<b>", "x".repeat(65)]) expect(verdict({ label })).toBe("ERR_SHAPE");
    for (const origin of ["", "a b", "a+b", "é", "x".repeat(256)]) expect(verdict({ origin })).toBe("ERR_SHAPE");
    const zero = { alg: "ed25519", key: Buffer.alloc(32).toString("base64") };
    expect(verdict({ receipt_key: zero })).toBe("ERR_KEY_WEAK");
    expect(verdict({ receipt_key: { ...zero, key: "AAAA" } })).toBe("ERR_KEY_INVALID");
  });
});
