/**
 * Evidence bundles (docs/formats/evidence-bundle.md): entries of logs with their proofs, the windows of streams that
 * they are, and what was disclosed beside them. One file: JCS of the object and one LF.
 */

import { sha256 } from "#crypto";
import { formatBase64 } from "./base64.ts";
import { formatUtf8, parseUtf8 } from "./bytes.ts";
import { FormatError, invariant } from "./errors.ts";
import { formatHex } from "./hex.ts";
import { formatCanonical, parseCanonical } from "./json/canonical.ts";
import { parseJson } from "./json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json/value.ts";
import { HASH_BYTES, type NodeHash, parseNodeHash } from "./merkle/hash.ts";
import { MAX_NOTE_BYTES } from "./note/signed-note.ts";
import { type Digest, digestShape, type Hex64, hex64Shape, type Version, versionShape } from "./receipt/fields.ts";
import { policyPathShape } from "./receipt/policy-load.ts";
import { originShape } from "./receipt/stream-open.ts";
import {
  array,
  base64Bytes,
  integer,
  json,
  jsonObject,
  literal,
  mapped,
  object,
  readShape,
  type Shape,
  string,
  timestamp,
} from "./shape.ts";
import type { Timestamp } from "./time.ts";

/** One entry of a log with its inclusion proof; `entry` is the object whose JCS form was logged. */
export interface BundleEntry {
  /** 0-based index in the log. */
  readonly index: number;
  readonly entry: JsonObject;
  /** Leaf to root. */
  readonly proof: readonly NodeHash[];
}

/** Entries of one log under one checkpoint. */
export interface BundleLog {
  readonly origin: string;
  /** The signed note, verbatim. */
  readonly checkpoint: string;
  /** Ascending by index. */
  readonly entries: readonly BundleEntry[];
}

/** A window of a stream that the bundle declares to hold whole: first and last seq, both included, first <= last. */
export type StreamWindow = { readonly stream: Hex64; readonly first_seq: number; readonly last_seq: number };

/** The disclosed files of a policy bundle. */
export type BundlePolicy = {
  readonly digest: Digest;
  readonly version: Version;
  /** Ascending by path. */
  readonly files: readonly BundlePolicyFile[];
};

/** One file as text; `path` as in the policy manifest. */
export type BundlePolicyFile = { readonly path: string; readonly content: string };

/** A disclosed catalog; `digest` is over the JCS form of `content`. */
export type BundleCatalog = { readonly digest: Digest; readonly content: JsonValue };

/** A bundle without its digest. */
export interface BundleContent {
  /** When the bundle was made, by its maker's clock. Nothing authenticates it. */
  readonly created: Timestamp;
  /** Ascending by origin: one checkpoint a log. */
  readonly logs: readonly BundleLog[];
  /** Ascending by stream and first seq; windows of one stream have no receipt in common. */
  readonly streams: readonly StreamWindow[];
  /** Ascending by digest. */
  readonly policies: readonly BundlePolicy[];
  /** Ascending by digest. */
  readonly catalogs: readonly BundleCatalog[];
}

/** A parsed bundle. */
export interface EvidenceBundle extends BundleContent {
  /** What the file says: 64 hexadecimal digits. */
  readonly digest: Hex64;
  /** What it should say: SHA-256(JCS(bundle without `digest`)). */
  readonly computedDigest: Hex64;
}

/** Most bytes of a bundle file. */
export const MAX_BUNDLE_BYTES: number = 64 * 1024 * 1024;

/** Most entries of one log, and windows, policies and catalogs of a bundle. */
const MAX_ENTRIES = 1_000_000;
const MAX_DISCLOSED = 1024;
const MAX_PROOF_HASHES = 64;

interface BundleFile extends BundleContent {
  readonly kind: "evidence-bundle";
  readonly v: 1;
  readonly attestation: readonly never[];
  readonly openings: readonly never[];
  readonly digest: Hex64;
}

/** Members that no version 1 bundle fills: hardware evidence and openings come with a later version. */
const nothing: Shape<readonly never[]> = mapped(array(json(), { max: 0 }), () => []);

const entryShape: Shape<BundleEntry> = object<BundleEntry>({
  index: integer(),
  entry: jsonObject(),
  proof: array(mapped(base64Bytes(HASH_BYTES), parseNodeHash), { max: MAX_PROOF_HASHES }),
});

const fileShape: Shape<BundleFile> = object<BundleFile>({
  kind: literal("evidence-bundle"),
  v: literal(1),
  created: timestamp(),
  logs: ascending(
    array(
      object<BundleLog>({
        origin: originShape,
        checkpoint: string({ maxLength: MAX_NOTE_BYTES }),
        entries: ascending(array(entryShape, { max: MAX_ENTRIES }), ({ index }) => index),
      }),
      { max: MAX_DISCLOSED },
    ),
    ({ origin }) => origin,
  ),
  streams: mapped(
    array(object<StreamWindow>({ stream: hex64Shape, first_seq: integer(), last_seq: integer() }), {
      max: MAX_DISCLOSED,
    }),
    checkWindows,
  ),
  policies: ascending(
    array(
      object<BundlePolicy>({
        digest: digestShape,
        version: versionShape,
        files: ascending(
          array(object<BundlePolicyFile>({ path: policyPathShape, content: string({ maxLength: 4_194_304 }) }), {
            max: 256,
          }),
          ({ path }) => path,
        ),
      }),
      { max: MAX_DISCLOSED },
    ),
    ({ digest }) => digest,
  ),
  catalogs: ascending(
    array(object<BundleCatalog>({ digest: digestShape, content: json() }), { max: MAX_DISCLOSED }),
    ({ digest }) => digest,
  ),
  attestation: nothing,
  openings: nothing,
  digest: hex64Shape,
});

/**
 * Reads a bundle file. Nothing is verified: not the proofs, not the entries, not even the digest.
 *
 * @throws {FormatError} ERR_UTF8, ERR_JSON_* (ERR_JSON_CANONICAL for any other spelling, a missing or second LF),
 *   ERR_SHAPE (also for lists that are not in ascending order, or hold something twice)
 */
export function parseBundle(bytes: Uint8Array): EvidenceBundle {
  if (bytes.length > MAX_BUNDLE_BYTES) throw new FormatError("ERR_JSON_SIZE", `want at most ${MAX_BUNDLE_BYTES} bytes`);
  const text = parseUtf8(bytes);
  const value = parseLine(text);
  const file = readShape(fileShape, value, "bundle");
  const { created, logs, streams, policies, catalogs, digest } = file;
  const computedDigest = formatHex(sha256(formatUtf8(withoutDigest(text, value))));
  return { created, logs, streams, policies, catalogs, digest, computedDigest };
}

/** The value of canonical JSON in front of one LF. */
function parseLine(text: string): JsonValue {
  const limits = { maxBytes: MAX_BUNDLE_BYTES };
  if (text.endsWith("\n")) return parseCanonical(text.slice(0, -1), limits);
  parseJson(text, limits);
  throw new FormatError("ERR_JSON_CANONICAL", "want one newline behind the bundle");
}

/** The bytes of a bundle file, with its digest. */
export function formatBundle(bundle: BundleContent): Uint8Array {
  const body = bundleJson(bundle);
  const text = formatCanonical(body);
  const at = digestPlace(body);
  const digest = formatHex(sha256(formatUtf8(text)));
  return formatUtf8(`${text.slice(0, at)}${digestMember(digest)}${text.slice(at)}\n`);
}

function bundleJson({ created, logs, streams, policies, catalogs }: BundleContent): JsonObject {
  const logsJson = logs.map(({ origin, checkpoint, entries }) => ({
    origin,
    checkpoint,
    entries: entries.map(entryJson),
  }));
  return {
    kind: "evidence-bundle",
    v: 1,
    created,
    logs: logsJson,
    streams,
    policies,
    catalogs,
    attestation: [],
    openings: [],
  };
}

function entryJson({ index, entry, proof }: BundleEntry): JsonObject {
  return { index, entry, proof: proof.map(formatBase64) };
}

/** JCS of the bundle without its digest, cut out of the file's text. */
function withoutDigest(text: string, value: JsonValue): string {
  invariant(isJsonObject(value), "withoutDigest: a bundle is an object");
  const at = digestPlace(value);
  return text.slice(0, at) + text.slice(at + digestMember("0".repeat(64)).length, -1);
}

/** Where the digest stands in the text of a bundle: three members come before it in key order. */
function digestPlace({ attestation, catalogs, created }: JsonObject): number {
  return formatCanonical({ attestation, catalogs, created }).length;
}

/** The digest's member; there is always one behind it. */
function digestMember(digest: Hex64): string {
  return `"digest":"${digest}",`;
}

function checkWindows(windows: readonly StreamWindow[]): readonly StreamWindow[] {
  for (const [i, { stream, first_seq, last_seq }] of windows.entries()) {
    const before = windows[i - 1];
    const isBehind =
      before === undefined || before.stream < stream || (before.stream === stream && before.last_seq < first_seq);
    if (!isBehind || first_seq > last_seq) {
      throw new FormatError("ERR_SHAPE", "want windows in ascending order that do not overlap");
    }
  }
  return windows;
}

function ascending<T>(shape: Shape<readonly T[]>, key: (item: T) => string | number): Shape<readonly T[]> {
  return mapped(shape, (items) => {
    for (let i = 1; i < items.length; i += 1) {
      const [before, item] = [items[i - 1], items[i]];
      if (before !== undefined && item !== undefined && key(before) >= key(item)) {
        throw new FormatError("ERR_SHAPE", "want distinct items in ascending order");
      }
    }
    return items;
  });
}
