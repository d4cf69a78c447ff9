/** Mandates: the keys of three parties, and chains from the first to the third. */

import { type MandateBody, parseMandate, signMandate } from "../../kernel/mandate/mandate.ts";
import type { MandateRoot } from "../../kernel/mandate/mandate-chain.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";

/** 2026-01-01T00:00:00.000Z. */
export const MANDATE_START_MS = 1_767_225_600_000;

/** The signer of a test key. */
export function mandateSigner(seed: number): EnvelopeSigner {
  return createSigner("ed25519", new Uint8Array(32).fill(seed));
}

/** The principal at the beginning, by key 61. */
export const MANDATE_ROOT: MandateRoot = {
  issuer: "https://idp.example",
  name: "alice",
  key: mandateSigner(0x61).publicKey,
};

/** Members of a mandate that a test changes. */
export type MandateChanges = Partial<Omit<MandateBody, "kind" | "v" | "issuer_key">>;

/** The first mandate: everything of server `s` for an hour to the planner (key 62), who may pass it on twice. */
export function firstMandate(changes: MandateChanges = {}, signer: EnvelopeSigner = mandateSigner(0x61)): Uint8Array {
  return signMandate(
    {
      parent: null,
      holder: { issuer: "local", name: "planner", key: formatPublicKey(mandateSigner(0x62).publicKey) },
      scope: { tools: ["s/*", "t/read"], resources: ["s/file:///docs/", "t/file:///a"] },
      not_before: formatTimestamp(MANDATE_START_MS),
      not_after: formatTimestamp(MANDATE_START_MS + 3_600_000),
      depth: 2,
      ...changes,
    },
    signer,
  );
}

/** The second: `s/echo` and a folder for half an hour to the worker, who may pass it on once. */
export function nextMandate(
  parent: Uint8Array,
  changes: MandateChanges = {},
  signer: EnvelopeSigner = mandateSigner(0x62),
): Uint8Array {
  return signMandate(
    {
      parent: parseMandate(parent).hash,
      holder: { issuer: "local", name: "example-agent", key: formatPublicKey(mandateSigner(0x63).publicKey) },
      scope: { tools: ["s/echo"], resources: ["s/file:///docs/public/"] },
      not_before: formatTimestamp(MANDATE_START_MS),
      not_after: formatTimestamp(MANDATE_START_MS + 1_800_000),
      depth: 1,
      ...changes,
    },
    signer,
  );
}
