/** The public API: named subpath exports, each one file of the kernel or the verifier, pinned name by name. */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/source-files.ts";

/** What each subpath exports at run time. A name that changes breaks whoever uses the package. */
const PUBLIC: Readonly<Record<string, string>> = {
  // begin
  "canonical-json": "canonicalBytes formatCanonical formatMembers parseCanonical",
  checkpoint: "formatCheckpoint parseCheckpoint",
  commitment:
    "BYTES_POINTER MAX_COMMITTED_FIELDS RECEIPT_SECRET_BYTES SALT_BYTES bytesLeaf commitBytes commitJson hashCommittedLeaf jsonLeaves",
  "compact-range": "CompactRange",
  "consistency-proof": "checkConsistency rootFromConsistency",
  "cose-consistency-receipt": "checkConsistencyReceipt signConsistencyReceipt",
  "cose-inclusion-receipt": "checkInclusionReceipt parseInclusionReceipt signInclusionReceipt",
  "cose-key": "coseThumbprint formatCoseKey formatCoseKeySet parseCoseKey parseCoseKeySet readCoseKey",
  "cose-statement":
    "MAX_STATEMENT_BYTES addReceipts checkStatement parseStatement signStatement statementEntry statementLeaf",
  cosignature: "MAX_TIMESTAMP_SECONDS checkCosignatureLine checkpointMessage cosignatureMessage subtreeMessage",
  "entry-bundle": "MAX_ENTRY_BYTES formatEntryBundle parseEntryBundle",
  "entry-kind": "classifyEntry",
  envelope: "checkSignedBy makeEnvelopeChecker signEnvelope signEnvelopeBytes signaturesShape signingInput",
  "error-codes": "ERROR_CODES",
  errors: "BugError CheckError FormatError StoreError errorCode invariant isCodedError",
  "evidence-bundle": "MAX_BUNDLE_BYTES formatBundle parseBundle",
  genesis: "admissionPolicyShape logShardShape makeGenesis parseGenesis",
  "inclusion-proof": "checkInclusion rootFromInclusion",
  json: "parseJson parseJsonText parseSpelledJson readJsonText",
  "log-proof": "checkLogProof formatLogProof parseLogProof",
  "merkle-hash":
    "EMPTY_ROOT HASH_BYTES areLeavesOf asNodeHash asRootHash entryAt foldHashes hashLeaf hashLeaves hashNode joinLeaves leafAt parseLeafHash parseLeafHashes parseNodeHash parseRootHash splitLeaves",
  "note-signer": "makeCosigner makeLogMlDsaSigner makeLogSigner",
  obligation: "ASKED_OBLIGATION_IDS OBLIGATIONS OBLIGATION_IDS obligationShape",
  "open-note": "openNote verifyLines",
  opening: "checkOpening checkPayload openBytes openField openingShape",
  "policy-manifest": "digestFile policyDigest",
  promise:
    "MAX_PROMISE_LEAVES checkBatchPromise checkLeafPromise formatLeafPromise leafPromiseOf parseLeafPromise readBatchPromise signPromise",
  "promise-breach": "appraisePromise",
  prove: "proveConsistency proveInclusion proveSubtree readRoot",
  "public-key": "ALGS formatPublicKey kidOf kidShape makePublicKey parseKid publicKeyShape",
  reasons: "REASON_CODES isReasonCode reasonShape",
  receipt:
    "MAX_RECEIPT_BYTES RECEIPT_KINDS draftReceipt isReceiptKind parseReceipt readReceipt receiptBodyHash receiptHash receiptShape sealReceipt signReceipt",
  registration: "parseRegistration readRegistration signRegistration",
  segment:
    "MAX_SEGMENT_BYTES MAX_SEGMENT_RECEIPTS checkSegment formatSegment makeSegment parseSegment parseSegmentEnvelope segmentBodyOf",
  "signed-note": "MAX_NOTE_BYTES MAX_SIGNATURE_LINES formatNote formatSignatureLine parseNote parseSignatureLine",
  signer: "SECRET_BYTES createSigner",
  stream: "checkReceiptSignature checkStreamOpen followStream nextStreamState openedStream restoreStream streamTip",
  "subtree-proof": "checkSubtreeConsistency checkSubtreeInclusion isValidSubtree",
  "tile-path": "TILE_WIDTH formatTilePath parseTilePath",
  "tile-reader": "makeTileHashReader",
  time: "formatTimestamp parseTimestamp timestampMs",
  "trace-anchor":
    "anchorLeaf anchorStatus checkAnchorReceipt formatAnchorReceipt formatTraceHash parseAnchorReceipt replayAnchor traceHashShape",
  "trace-anchor-form": "anchorBytes coincidentBytes formatAnchorForm parseTraceDocument",
  "trace-entry-name": "derivedName isTransparencyUri nameForm nameInLog trustRecordUri",
  "trace-record-key": "checkDetached checkRecordSignature formatJwk jwkThumbprint readJwk readRecordKey",
  "trace-revocation": "checkRevocation parseRevocation readEntryId readRevocation revocationShape standsAgainst",
  "trace-revocation-bundle": "REVOCATION_BUNDLE_TYPE checkRevocationBundle judgeRevocationBundle readRevocationBundle",
  "trust-policy": "parseTrustPolicy",
  verdicts: "renderVerdicts",
  "verifier-key": "formatVerifierKey isKeyType makeVerifierKey parseVerifierKey",
  "verify-bundle": "verifyBundle",
  "witness-policy":
    "MAX_POLICY_CHARACTERS checkQuorum isQuorum openLogCheckpoint openWitnessedCheckpoint parseWitnessPolicy quorumTime",
  // end
};

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
}

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
const subpaths = Object.entries(manifest.exports).filter(([name]) => name !== "./package.json");

describe("package.json", () => {
  const { dependencies, optionalDependencies, devDependencies } = manifest;
  const allDependencies = { ...dependencies, ...optionalDependencies, ...devDependencies };

  it("exports these subpaths and nothing else: no barrel, no private file", () => {
    expect(Object.keys(manifest.exports)).toEqual([
      ...Object.keys(PUBLIC).map((name) => `./${name}`),
      "./package.json",
    ]);
    for (const [, target] of subpaths) {
      if (typeof target === "string") throw new Error("want types and default");
      expect(target.types).toBe(target.default.replace(/\.js$/u, ".d.ts"));
      const source = target.default.replace(/^\.\/dist\//u, "").replace(/\.js$/u, ".ts");
      expect(source).toMatch(/^(?:kernel|verifier)\//u);
      expect(existsSync(join(ROOT, source)), source).toBe(true);
    }
  });

  it("gives each subpath the names that are pinned, imported as a user of the package imports them", () => {
    const script = `const names = {};
      for (const name of ${JSON.stringify(Object.keys(PUBLIC))})
        names[name] = Object.keys(await import("countersign/" + name)).sort().join(" ");
      console.log(JSON.stringify(names));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(PUBLIC);
  });

  it("pins every dependency exactly, and names the Node that it needs", () => {
    const versions = Object.entries(allDependencies);
    expect(versions.length).toBeGreaterThan(20);
    for (const [name, version] of versions) expect(version, name).toMatch(/^\d+\.\d+\.\d+(?:-[0-9a-z.]+)?$/u);
    expect(manifest.engines.node).toBe(">=20.19.0");
  });

  it("gives every dependency its line in docs/dependencies.md", () => {
    const text = readFileSync(join(ROOT, "docs", "dependencies.md"), "utf8");
    const listed = [...text.matchAll(/`([^`]+)`/gu)].map((match) => match[1] ?? "");
    for (const name of Object.keys(allDependencies)) {
      expect(listed, name).toContain(name);
    }
  });
});
