/** Signed catalogs of fake servers, and the approvers that a gateway's configuration pins. */

import type { ApprovalRule, Approver } from "../../gateway/catalog/catalog-approval.ts";
import type { CatalogFile, RevisedCatalog, StoredCatalog } from "../../gateway/catalog/catalog-file.ts";
import { formatStoredCatalog, proposeCatalog, signCatalog } from "../../gateway/catalog/proposal.ts";
import type { Upstream } from "../../gateway/upstream/upstream.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";

/** Somebody who can sign, with the name that the configuration has. */
export interface TestApprover {
  readonly name: string;
  readonly signer: EnvelopeSigner;
}

function approver(name: string, byte: number): TestApprover {
  return { name, signer: createSigner("ed25519", new Uint8Array(32).fill(byte)) };
}

/** Three people whose keys are pinned, and one whose key is not. */
export const ALICE: TestApprover = approver("alice", 41);
export const BOB: TestApprover = approver("bob", 42);
export const CAROL: TestApprover = approver("carol", 43);
export const MALLORY: TestApprover = approver("mallory", 44);

/** Two of alice, bob and carol. */
export const TWO_OF_THREE: ApprovalRule = {
  approvers: [ALICE, BOB, CAROL].map(({ name, signer }): Approver => ({ name, key: signer.publicKey })),
  threshold: 2,
};

/** `catalog` of a gateway's configuration for this rule. */
export function catalogConfig(file = "unused", { approvers, threshold }: ApprovalRule = TWO_OF_THREE): JsonObject {
  return { file, approvers: approvers.map(({ name, key }) => ({ name, key: formatPublicKey(key) })), threshold };
}

/** What these servers list now, as the version after `base`. */
export async function proposal(upstreams: readonly Upstream[], base?: CatalogFile): Promise<RevisedCatalog> {
  const listed = await Promise.all(
    upstreams.map(async ({ id, identity, attributes, listSurface }) => {
      return { id, identity, attributes, surface: await listSurface() };
    }),
  );
  return proposeCatalog(listed, base);
}

/** The bytes of a catalog that these people signed. */
export function signedBy(file: RevisedCatalog, ...people: readonly TestApprover[]): Uint8Array {
  let stored: StoredCatalog = { file, signatures: [] };
  for (const { signer } of people) stored = signCatalog(stored, signer);
  return formatStoredCatalog(stored);
}
