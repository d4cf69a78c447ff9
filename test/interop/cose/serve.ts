/**
 * Ledgers with a SCITT edge for a foreign client: one that signs receipts with Ed25519, one with ES256. Prints one JSON line
 * with their addresses and ends when its input does. `scripts/interop-cose.sh` runs it.
 */

import { formatCoseKey, parseCoseKey } from "../../../kernel/cose/cose-key.ts";
import { createSigner, type EnvelopeSigner } from "../../../kernel/signature/signer.ts";
import { LEDGER_ORIGIN, removeLedgers, startTestLedger, type TestLedger } from "../../support/ledger-service.ts";

const ISSUER = "https://issuer.example";
/** The client knows these secrets: 32 bytes of one value. */
const issuerKeys = [createSigner("ed25519", seedOf(11)), createSigner("es256", seedOf(12))];
const receiptKeys = { ed25519: createSigner("ed25519", seedOf(21)), es256: createSigner("es256", seedOf(22)) };

function seedOf(value: number): Uint8Array {
  return new Uint8Array(32).fill(value);
}

function start(scittKey: EnvelopeSigner): Promise<TestLedger> {
  const keys = issuerKeys.map(({ publicKey }) => parseCoseKey(formatCoseKey(publicKey)));
  const scitt = { key_file: "scitt.key", issuers: [{ issuer: ISSUER, keys }], requests_per_minute: 100_000 };
  return startTestLedger({ config: { log_kind: "receipts", scitt }, scittKey });
}

const ledgers = [await start(receiptKeys.ed25519), await start(receiptKeys.es256)];
const [ed25519, es256] = ledgers.map(({ url }) => url);
console.log(JSON.stringify({ origin: LEDGER_ORIGIN, issuer: ISSUER, ed25519, es256 }));
process.stdin.resume();
process.stdin.once("end", () => void removeLedgers(ledgers));
