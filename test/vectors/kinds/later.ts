/** Kinds that are known and not built yet: each case is named and counted as skipped, with its reason. */

import { type CaseFile, type CaseResult, caseId, type KindHandler, skipped } from "../case-file.ts";

/** Skips every case of the file for `reason`. */
function notBuilt(reason: string): KindHandler {
  return async function* (file: CaseFile): AsyncGenerator<CaseResult> {
    for (const one of file.cases) yield skipped(caseId(file, one), `kind ${file.kind} is not built yet: ${reason}`);
  };
}

const mirror: KindHandler = notBuilt("mirroring belongs to the ledger at full strength");

/** Kinds of files, by path. */
export const laterKinds: Readonly<Record<string, KindHandler>> = {
  "own/mirror-add-entries": mirror,
};

/** Families of kinds that manifests name, and what will run them. */
const FAMILIES: readonly (readonly [RegExp, KindHandler])[] = [
  [/^trace\//, notBuilt("it needs TRACE records")],
  [/^aga\//, notBuilt("it needs the import adapter")],
  [
    /^(?:azure-cvm|binding|eventlog|rats|sev-snp|tdx|tpm)(?:\/|$)/,
    notBuilt("it needs the appraisers of hardware evidence"),
  ],
];

/** The handler of a kind that a manifest names, if its family is known. */
export function laterManifestKind(kind: string): KindHandler | undefined {
  return FAMILIES.find(([pattern]) => pattern.test(kind))?.[1];
}
