/** Publishers with fixed keys, and their statements. */

import type { JsonObject } from "../../kernel/json/value.ts";
import { type PublisherBody, signPublisherStatement } from "../../kernel/publisher-statement.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { parseTimestamp } from "../../kernel/time.ts";

/** A publisher whose key is pinned, and somebody else. */
export const ACME: EnvelopeSigner = createSigner("ed25519", new Uint8Array(32).fill(51));
export const IMPOSTOR: EnvelopeSigner = createSigner("ed25519", new Uint8Array(32).fill(52));

/** `catalog.publishers` of a gateway's configuration. */
export const ACME_PINNED: readonly JsonObject[] = [{ name: "acme", key: formatPublicKey(ACME.publicKey) }];

/** What the publisher states unless a test says otherwise; good for all of this century. */
export const ACME_BODY: Omit<PublisherBody, "kind" | "v"> = {
  publisher: "acme",
  server: { name: "com.acme/crm", version: "1.4.0" },
  identity: { kind: "http", url: "https://mcp.crm.example/mcp", spki: [] },
  surface: null,
  not_before: parseTimestamp("2020-01-01T00:00:00.000Z"),
  not_after: parseTimestamp("2099-01-01T00:00:00.000Z"),
};

/** Bytes of a statement. */
export function acmeStatement(changes: Partial<typeof ACME_BODY> = {}, signer: EnvelopeSigner = ACME): Uint8Array {
  return signPublisherStatement({ ...ACME_BODY, ...changes }, signer);
}
