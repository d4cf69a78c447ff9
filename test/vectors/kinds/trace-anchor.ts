/** trace/anchor-inclusion, trace/revocation-bundle, and what of trace/registry is about anchors and COSE receipts. */

import { parseBase64 } from "../../../kernel/base64.ts";
import { parseInclusionReceipt } from "../../../kernel/cose/inclusion-receipt.ts";
import { isCodedError } from "../../../kernel/errors.ts";
import type { JsonObject } from "../../../kernel/json/value.ts";
import { CompactRange } from "../../../kernel/merkle/compact-range.ts";
import { parseLeafHash } from "../../../kernel/merkle/hash.ts";
import { anchorLeaf, anchorStatus, formatTraceHash, replayAnchor } from "../../../kernel/trace/anchor.ts";
import { formatAnchorForm, parseTraceDocument } from "../../../kernel/trace/anchor-form.ts";
import { isTransparencyUri } from "../../../kernel/trace/entry-name.ts";
import { jwkThumbprint, readJwk } from "../../../kernel/trace/record-key.ts";
import { readRegistryEntry } from "../../../kernel/trace/registry-entry.ts";
import { standsAgainst } from "../../../kernel/trace/revocation.ts";
import { judgeRevocationBundle } from "../../../kernel/trace/revocation-bundle.ts";
import {
  type CaseFile,
  type CaseResult,
  caseId,
  isVectorObject,
  type KindHandler,
  skipped,
  textOf,
  textsOf,
  type VectorObject,
} from "../case-file.ts";
import { bytesInput, type CheckFinding, runVerdict, type VerdictCheck } from "../manifest-case.ts";

const CHECKS: Readonly<Record<string, VerdictCheck>> = {
  "TR-ANC-001": ({ record }) => {
    const { transparency } = parseTraceDocument(asBytes(record));
    return isTransparencyUri(transparency) ? { result: "pass" } : { result: "fail", fails: ["TR-ANC-001"] };
  },
  "TR-ANC-002": (inputs) => {
    const replayed = replayAnchor(parseTraceDocument(bytesInput(inputs, "record")), receiptInput(inputs));
    return replayed.verdict === "pass" ? { result: "pass" } : { result: "fail", fails: [replayed.reason] };
  },
  inclusion: (inputs) => {
    // A checkpoint counts only under a policy that the verifier pinned; the inputs have none.
    const status = anchorStatus(parseTraceDocument(bytesInput(inputs, "record")), receiptInput(inputs), undefined);
    return status.verdict === "pass" ? { result: "pass" } : { result: status.verdict, fails: [status.reason] };
  },
  construction: checkConstruction,
  entry: ({ entry }) => {
    const { merkle_root, leaf_count } = readRegistryEntry(parseTraceDocument(asBytes(entry)));
    return { result: "pass", parsed: { merkle_root: formatTraceHash(merkle_root), leaf_count } };
  },
  "cose-receipt": (inputs) => {
    const { size, index } = parseInclusionReceipt(parseBase64(textOf(inputs, "receipt_base64")));
    return { result: "pass", parsed: { tree_size: Number(size), leaf_index: Number(index) } };
  },
  revocation: checkRevocationCase,
  "cose-signature": (inputs) => {
    parseInclusionReceipt(parseBase64(textOf(inputs, "receipt_base64")));
    if (inputs["key"] === null) return { result: "not_established", fails: ["key"] };
    throw new Error("want the form of a key in the inputs to be known");
  },
};

/** Kinds of manifest entries. */
export const traceAnchorKinds: Readonly<Record<string, KindHandler>> = {
  "trace/anchor-inclusion": runAnchorCases,
  "trace/registry": runAnchorCases,
  "trace/revocation-bundle": runAnchorCases,
};

async function* runAnchorCases(file: CaseFile): AsyncGenerator<CaseResult> {
  for (const one of file.cases) {
    const verdicts: unknown = one["verdicts"];
    if (!Array.isArray(verdicts) || verdicts.length === 0) throw new Error("want verdicts, one at least");
    for (const verdict of verdicts) {
      if (!isVectorObject(verdict)) throw new Error("want verdicts that are objects");
      const [id, name] = [`${caseId(file, one)}/${textOf(verdict, "name")}`, textOf(verdict, "check")];
      const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
      if (check === undefined) yield skipped(id, `check ${name} is not built yet: it needs TRACE records`);
      else yield await runVerdict(id, { folder: file.folder, one: withTime(one), verdict }, refusing(check));
    }
  }
}

/** The time that a check is given stands among its inputs. */
function withTime(one: VectorObject): VectorObject {
  return { ...one, inputs: { ...Object(one["inputs"]), verify_at: one["verify_at"] } };
}

/** Malformed input is a processing error, and none of the three verdicts. */
function refusing(check: VerdictCheck): VerdictCheck {
  return async (inputs): Promise<CheckFinding> => {
    try {
      return await check(inputs);
    } catch (error) {
      if (isCodedError(error) && error.name === "FormatError") return { result: "refused", fails: ["malformed"] };
      throw error;
    }
  };
}

/** Anchor form, leaf and root of the batch; the record's leaf must be one of the batch. */
function checkConstruction(inputs: VectorObject): CheckFinding {
  const record = parseTraceDocument(bytesInput(inputs, "record"));
  const leaf = formatTraceHash(anchorLeaf(record));
  const leaves = textsOf(inputs, "leaf_hashes");
  const range = CompactRange.empty();
  for (const hash of leaves) range.append(parseLeafHash(Buffer.from(hash.replace(/^sha256:/u, ""), "hex")));
  const parsed = { anchor_form: formatAnchorForm(record), leaf_hash: leaf, merkle_root: formatTraceHash(range.root()) };
  return leaves.includes(leaf) ? { result: "pass", parsed } : { result: "fail", fails: ["non-reproducing"], parsed };
}

/** A record of the trusted key without a checked inclusion: any statement about the key refuses it. */
function checkRevocationCase(inputs: VectorObject): CheckFinding {
  const { bundle, bundle_keys: keys, trusted_key: trusted, verify_at: at } = inputs;
  if (!Array.isArray(keys)) throw new Error("want bundle_keys");
  const standing = judgeRevocationBundle(
    bundle === null ? undefined : parseTraceDocument(asBytes(bundle)),
    keys.map((key: JsonObject) => readJwk(key)),
    {
      nowSeconds: Date.parse(String(at)) / 1000,
      maxAgeSeconds: Number(inputs["max_bundle_age_seconds"]),
      maxFutureSkewSeconds: Number(inputs["max_future_skew_seconds"]),
    },
  );
  if (standing.outcome === "no_check_performed") return { result: "not_established", fails: [standing.outcome] };
  if (standing.outcome === "unverified_for_revocation") {
    const { cause, digest, tripped } = standing;
    const parsed = digest === undefined ? { path: "/" } : { bundle_digest: digest, bound_tripped: tripped };
    return { result: "not_established", fails: [cause], parsed };
  }
  const { statements } = standing.bundle;
  const key: JsonObject = Object(trusted);
  const ids = [jwkThumbprint(readJwk(key)), String(key["kid"])];
  if (!standsAgainst(statements, ids, undefined)) return { result: "fail", fails: ["key_revoked"] };
  return { result: "pass", parsed: { bundle_digest: standing.digest, statements_count: statements.length } };
}

function receiptInput(inputs: VectorObject): Uint8Array | undefined {
  return inputs["receipt"] === null ? undefined : bytesInput(inputs, "receipt");
}

function asBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error("want bytes");
}
