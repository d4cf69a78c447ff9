/**
 * `build.provenance`: from receipts to builds. A decision names the sealed artifact that its gateway was bound to; the artifact names
 * the code that the gateway measured itself to be, at its start and on a cycle; a pinned builder signed that it built this code. That
 * the measured code ran is the gateway's own word as long as no hardware measures it.
 */

import { isCodedError } from "../kernel/errors.ts";
import { parseArtifact } from "../kernel/policy-artifact.ts";
import { digestFile } from "../kernel/policy-manifest.ts";
import { type BuildStatement, readProvenance, type TrustedBuilder } from "../kernel/provenance.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import { receiptSubject } from "./read-entries.ts";
import { doubt, type Finding, faultOf, type Judgement, judge } from "./verdict.ts";

/** What somebody hands in beside a bundle. */
export interface BuildFiles {
  /** Sealed policy artifacts, as their files. */
  readonly artifacts: readonly Uint8Array[];
  /** DSSE envelopes. */
  readonly provenance: readonly Uint8Array[];
}

type Decision = ReceiptOf<"decision">;

/** @throws {FormatError} ERR_PROVENANCE: a file that is handed in is none */
export function judgeBuilds(
  decisions: readonly Decision[],
  { artifacts, provenance }: BuildFiles,
  builders: readonly TrustedBuilder[],
): Judgement {
  const reached = decisions.filter(({ policy }) => policy.state === "present");
  if (reached.length === 0) return doubt("decisions.none", "bundle", "no decision says under what it was made");
  if (builders.length === 0) return doubt("build.builders-none-pinned", "trust policy", "it pins no builder");
  const { statements, faults } = readAll(provenance, builders);
  const files = new Map(artifacts.map((bytes) => [digestFile(bytes), bytes]));
  const named = new Map<string, Decision>();
  const unsealed: Finding[] = [];
  for (const decision of reached) {
    const ref = observedValue(decision.policy)?.artifact;
    if (ref?.state === "present") named.set(ref.value, named.get(ref.value) ?? decision);
    else unsealed.push(doubt("build.unsealed", receiptSubject(decision), "it names no sealed artifact"));
  }
  const findings = [...named].flatMap(([digest, first]) => judgeArtifact(digest, first, files.get(digest), statements));
  const names = [...new Set(statements.map(({ builder }) => builder))].join(", ");
  return judge(
    [...faults, ...unsealed, ...findings],
    `${reached.length} decisions, ${named.size} artifacts, built by ${names}`,
  );
}

function readAll(
  provenance: readonly Uint8Array[],
  builders: readonly TrustedBuilder[],
): { readonly statements: readonly BuildStatement[]; readonly faults: readonly Finding[] } {
  const statements: BuildStatement[] = [];
  const faults: Finding[] = [];
  for (const bytes of provenance) {
    try {
      const statement = readProvenance(bytes, builders);
      if (statement !== undefined) statements.push(statement);
    } catch (error) {
      if (!isCodedError(error) || error.code === "ERR_PROVENANCE") throw error;
      faults.push(faultOf(error, digestFile(bytes)));
    }
  }
  return { statements, faults };
}

function judgeArtifact(
  digest: string,
  first: Decision,
  bytes: Uint8Array | undefined,
  statements: readonly BuildStatement[],
): readonly Finding[] {
  const subject = receiptSubject(first);
  if (bytes === undefined)
    return [doubt("build.artifact-not-disclosed", subject, `the artifact ${digest} is not there`)];
  let artifact: ReturnType<typeof parseArtifact>;
  try {
    artifact = parseArtifact(bytes);
  } catch (error) {
    return [faultOf(error, digest)];
  }
  const { code, sbom } = artifact;
  if (code === undefined) return [doubt("build.not-measured", subject, `the artifact ${digest} names no code`)];
  const made = statements.filter(({ subjects }) => subjects.has(code));
  if (made.length === 0) return [doubt("build.unknown", subject, `no pinned builder says that it built ${code}`)];
  if (sbom === undefined || made.some(({ related }) => related.has(sbom))) return [];
  return [doubt("build.sbom-unknown", subject, `no statement about this code names the bill of materials ${sbom}`)];
}
