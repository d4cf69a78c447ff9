import { describe, expect, it } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { type StreamReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { readSignedReceipt } from "../../kernel/receipt/signed-form.ts";
import { checkReceiptSignature } from "../../kernel/stream/stream-state.ts";
import { checkSignatureInPool } from "../../ledger/admission/pooled-signature.ts";
import { codeOf } from "../support/code-of.ts";
import { gatewayKeys, receiptBodies } from "../support/receipts.ts";

const keys = gatewayKeys();
const streamKeys = { instance: keys.instance.publicKey, receipt: keys.receipt.publicKey };
const { receipt, bytes } = signReceipt(receiptBodies().heartbeat, [keys.receipt]);
const { bodyHash } = readSignedReceipt(bytes);

async function pooled(of: StreamReceipt): Promise<string> {
  try {
    await checkSignatureInPool(keys.receipt.publicKey, of, bodyHash);
    return "accepted";
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
}

/** The receipt with another signature. */
function withSignature(change: (signature: Uint8Array) => Uint8Array): StreamReceipt {
  const signatures = receipt.signatures.map((one) => ({ ...one, sig: formatBase64(change(parseBase64(one.sig))) }));
  return { ...receipt, signatures };
}

describe("a signature checked on the thread pool", () => {
  it("has the verdict of the kernel, for every changed byte and a neutral R", async () => {
    expect(await pooled(receipt)).toBe("accepted");
    const changes = Array.from({ length: 64 }, (_, at) => (signature: Uint8Array) => {
      return signature.map((byte, i) => (i === at ? byte ^ 1 : byte));
    });
    const neutral = (signature: Uint8Array): Uint8Array =>
      signature.map((byte, i) => (i === 0 ? 1 : i < 32 ? 0 : byte));
    for (const change of [...changes, neutral]) {
      const changed = withSignature(change);
      const verdict = await pooled(changed);
      expect(verdict).toBe("ERR_SIGNATURE_INVALID");
      expect(codeOf(() => checkReceiptSignature(streamKeys, changed))).toBe(verdict);
    }
    const other = signReceipt(receiptBodies().heartbeat, [keys.instance]).receipt;
    expect(await pooled(other)).toBe("ERR_SIGNATURE_MISSING");
  });
});
