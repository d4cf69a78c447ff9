/**
 * Approval of a catalog by signatures: M of the N keys that the gateway's configuration pins sign the file, and each
 * catalog that replaces another has a higher version and names the one that it replaces.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { CheckError, isCodedError } from "../../kernel/errors.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { checkSignedBy } from "../../kernel/signature/envelope.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import type { VersionFloor } from "../version-floor.ts";
import type { StoredCatalog } from "./catalog-file.ts";
import { digestOf } from "./digests.ts";

/** Somebody whose signature approves catalogs. */
export type Approver = { readonly name: string; readonly key: PublicKey };

/** Whose signatures approve a catalog, and how many of them. */
export interface ApprovalRule {
  /** Distinct names and keys. */
  readonly approvers: readonly Approver[];
  /** 1 to 4. */
  readonly threshold: number;
}

/**
 * Checks the signatures of a catalog: each is of a pinned key and holds, and there are enough. One that does not hold
 * refuses the file even if there are enough others, so that no byte of a file can be changed.
 *
 * @returns the names of those who signed, sorted
 * @throws {CheckError} ERR_CATALOG_UNSIGNED (none, one of another key, one that does not hold, an override by somebody who
 *   did not sign), ERR_CATALOG_THRESHOLD
 */
export function checkApproval({ file, signatures }: StoredCatalog, rule: ApprovalRule): readonly string[] {
  if (signatures.length === 0) throw unsigned("the catalog is proposed; nobody has signed it");
  const names = signatures.map(({ kid }) => {
    const approver = rule.approvers.find(({ key }) => key.kid === kid);
    if (approver === undefined) throw unsigned(`the key ${kid} is none of the configured approvers'`);
    checkSignature({ file, signatures }, approver);
    return approver.name;
  });
  const stranger = file.overrides.find(({ approver }) => !names.includes(approver));
  if (stranger !== undefined) throw unsigned(`${stranger.approver} overrides a finding and has not signed`);
  if (names.length >= rule.threshold) return names.sort();
  throw new CheckError(
    "ERR_CATALOG_THRESHOLD",
    `the catalog has ${names.length} of the ${rule.threshold} signatures that approve it`,
  );
}

function checkSignature({ file, signatures }: StoredCatalog, { name, key }: Approver): void {
  try {
    checkSignedBy({ ...file, signatures }, key);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_CATALOG_UNSIGNED", `the signature of ${name} does not hold`, { cause });
  }
}

/**
 * Checks that a catalog may follow the one that was in force last; the same one may be loaded again.
 *
 * @throws {CheckError} ERR_CATALOG_VERSION (a lower version, or the same one with other content), ERR_CATALOG_PREVIOUS (the
 *   next version names another catalog as the one that it replaces)
 */
export function checkSuccession({ file }: Pick<StoredCatalog, "file">, floor: VersionFloor | undefined): void {
  if (floor === undefined) return;
  const isSame = file.version === floor.version && digestOf(file) === floor.digest;
  if (isSame) return;
  if (file.version <= floor.version) {
    throw new CheckError(
      "ERR_CATALOG_VERSION",
      `version ${file.version} of the catalog comes after version ${floor.version}`,
    );
  }
  // Versions in between may have been in force elsewhere, so only the next one must name ours.
  if (file.version === floor.version + 1 && file.previous !== floor.digest) {
    throw new CheckError("ERR_CATALOG_PREVIOUS", "the catalog replaces another one than the one in force");
  }
}

const REASONS: Partial<Record<ErrorCode, ReasonCode>> = {
  ERR_CATALOG_UNSIGNED: "catalog.unsigned",
  ERR_CATALOG_THRESHOLD: "catalog.unapproved",
  ERR_CATALOG_VERSION: "catalog.lower-version",
  ERR_CATALOG_PREVIOUS: "catalog.digest-mismatch",
  ERR_POLICY_BUNDLE: "policy.invalid",
  ERR_ARTIFACT_MISMATCH: "artifact.mismatch",
};

/** The reason that a receipt gives for a catalog that was refused with `error`. */
export function refusalReason(error: unknown): ReasonCode {
  return (isCodedError(error) ? REASONS[error.code] : undefined) ?? "catalog.invalid";
}

function unsigned(message: string): CheckError {
  return new CheckError("ERR_CATALOG_UNSIGNED", message);
}
