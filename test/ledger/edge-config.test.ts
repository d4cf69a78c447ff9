import { describe, expect, it } from "vitest";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatCoseKey } from "../../kernel/cose/cose-key.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { parseLedgerConfig } from "../../ledger/config.ts";
import { codeOf } from "../support/code-of.ts";
import { coseSigners, statementIssuer } from "../support/cose.ts";
import { ledgerOptions } from "../support/ledger-service.ts";
import { revocationSigner } from "../support/trace.ts";

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const base: JsonObject = JSON.parse(JSON.stringify(ledgerOptions("data", silent).config));
const issuerKey = formatBase64(formatCoseKey(statementIssuer.publicKey));
const scitt: JsonObject = {
  key_file: "scitt.key",
  retired_keys: [formatBase64(formatCoseKey(coseSigners.es256.publicKey))],
  issuers: [{ issuer: "https://issuer.example", keys: [issuerKey] }],
};
const codeOfScitt = (change: JsonObject): string =>
  codeOf(() => parseLedgerConfig({ ...base, scitt: { ...scitt, ...change } }));

describe("the configuration of the edges of a log", () => {
  it("names keys as COSE_Keys in base64, and revocation keys as the other files do", () => {
    const trace = { revocation_keys: [formatPublicKey(revocationSigner.publicKey)] };
    const config = parseLedgerConfig({ ...base, scitt, trace });
    expect(config.scitt?.issuers[0]?.keys[0]?.key).toEqual(statementIssuer.publicKey);
    expect(config.scitt?.retired_keys?.[0]?.key).toEqual(coseSigners.es256.publicKey);
    expect(config.trace?.revocation_keys).toEqual([revocationSigner.publicKey]);
    expect(parseLedgerConfig(base).scitt).toBeUndefined();
  });

  it.each<[string, JsonObject]>([
    ["a key that is not base64", { issuers: [{ issuer: "a", keys: ["x"] }] }],
    ["a key that is not CBOR", { issuers: [{ issuer: "a", keys: ["AAAA"] }] }],
    ["an issuer without keys", { issuers: [{ issuer: "a", keys: [] }] }],
    ["an issuer without name", { issuers: [{ issuer: "", keys: [issuerKey] }] }],
    ["a rate of zero", { requests_per_minute: 0 }],
    ["a wait above half a minute", { wait_ms: 30_001 }],
    ["an unknown member", { more: 1 }],
  ])("is refused with %s", (_, change) => {
    expect(codeOfScitt(change)).toBe("ERR_SHAPE");
  });
});
