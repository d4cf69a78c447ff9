/** own/* formats, note/note, peers/cosignatures: keys, notes, checkpoints, cosignatures, policies, log proofs, paths. */

import { parseBase64 } from "../../../kernel/base64.ts";
import { formatCheckpoint, parseCheckpoint } from "../../../kernel/checkpoint/checkpoint.ts";
import { checkCosignatureLine, checkpointMessage } from "../../../kernel/checkpoint/cosignature.ts";
import { openNote } from "../../../kernel/checkpoint/open-note.ts";
import { formatHex } from "../../../kernel/hex.ts";
import { checkLogProof, formatLogProof, parseLogProof } from "../../../kernel/log-proof.ts";
import { formatNote, parseNote, parseSignatureLine } from "../../../kernel/note/signed-note.ts";
import { formatVerifierKey, parseVerifierKey } from "../../../kernel/note/verifier-key.ts";
import { formatTilePath, parseTilePath } from "../../../kernel/tile/path.ts";
import { openWitnessedCheckpoint, parseWitnessPolicy } from "../../../kernel/witness-policy.ts";
import { eachCase, integerOf, type KindHandler, textOf, textsOf, type VectorObject, verdictOf } from "../case-file.ts";

/** `accept`, if the value formats to exactly what was parsed. */
const roundTrip = (before: string, after: string): string =>
  before === after ? "accept" : "does not format to the same";

const vkey = eachCase((one) => {
  const text = textOf(one, "vkey");
  return roundTrip(text, formatVerifierKey(parseVerifierKey(text)));
});

const checkpoint = eachCase((one) => {
  const text = textOf(one, "text");
  return roundTrip(text, formatCheckpoint(parseCheckpoint(text)));
});

const unique = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort();

/** Where the case says which signatures count, their names; else the verdict alone. */
function expectVerified(one: VectorObject): unknown {
  if (one["verified"] === undefined || verdictOf(one) === "reject") return verdictOf(one);
  return { verdict: "accept", verified: unique(textsOf(one, "verified")) };
}

const note = eachCase((one) => {
  const bytes = one["note_b64"] === undefined ? textOf(one, "note") : parseBase64(textOf(one, "note_b64"));
  const { text, verified } = openNote(bytes, textsOf(one, "keys").map(parseVerifierKey));
  const { signatures } = parseNote(bytes);
  const back = formatNote(
    text,
    signatures.map(({ line }) => line),
  );
  if (typeof bytes === "string" && back !== bytes) return "does not format to the same";
  if (one["verified"] === undefined) return "accept";
  return { verdict: "accept", verified: unique(verified.map(({ key }) => key.name)) };
}, expectVerified);

/** An accepted line, with the time and the signed bytes where the case names them. */
function expectCosignature(one: VectorObject): unknown {
  if (verdictOf(one) === "reject") return "reject";
  const message = one["message_hex"];
  return { verdict: "accept", timestamp: textOf(one, "timestamp"), ...(message === undefined ? {} : { message }) };
}

const cosignature = eachCase((one) => {
  const key = parseVerifierKey(textOf(one, "key"));
  const { text } = parseNote(textOf(one, "checkpoint"));
  const { timestampSeconds } = checkCosignatureLine(key, text, parseSignatureLine(textOf(one, "line")));
  const { name, type } = key;
  const message = type === 0x01 ? "" : formatHex(checkpointMessage({ name, type }, text, timestampSeconds));
  const timestamp = timestampSeconds.toString();
  return { verdict: "accept", timestamp, ...(one["message_hex"] === undefined ? {} : { message }) };
}, expectCosignature);

const policy = eachCase((one) => {
  parseWitnessPolicy(textOf(one, "policy"));
  return "accept";
});

const quorum = eachCase((one) => {
  const parsed = parseWitnessPolicy(textOf(one, "policy"));
  const { cosignatures } = openWitnessedCheckpoint(textOf(one, "checkpoint"), parsed);
  const names = new Map(parsed.witnesses.map(({ name, key }) => [name, key.name]));
  const got = unique(cosignatures.map(({ witness }) => names.get(witness) ?? witness));
  const known = textsOf(one, "cosigned_by").filter((name) => [...names.values()].includes(name));
  return JSON.stringify(got) === JSON.stringify(unique(known)) ? "accept" : `cosigned by ${got.join(", ")}`;
});

const logProof = eachCase((one) => {
  const proof = parseLogProof(textOf(one, "proof"));
  const entry = parseBase64(textOf(one, "entry_b64"));
  checkLogProof({ proof, entry, policy: parseWitnessPolicy(textOf(one, "policy")) });
  return roundTrip(textOf(one, "proof"), formatLogProof(proof));
});

const tilePath = eachCase(
  (one) => {
    const path = textOf(one, "path");
    const ref = parseTilePath(path);
    if (formatTilePath(ref) !== path) return "does not format to the same";
    const level = ref.kind === "hash" ? ref.level : "entries";
    return { verdict: "accept", level, index: ref.index.toString(), width: ref.width };
  },
  (one) => {
    if (verdictOf(one) === "reject") return "reject";
    return { verdict: "accept", level: one["level"], index: integerOf(one, "index").toString(), width: one["width"] };
  },
);

/** The checkpoint of an add-checkpoint request, and the reply appended to it, opened with every key. */
const peers = eachCase(
  (one) => {
    const [request, response] = [textOf(one, "request"), textOf(one, "response")];
    const submitted = request.slice(request.indexOf("\n\n") + 2);
    const keys = [textOf(one, "log_vkey"), ...textsOf(one, "witness_vkeys")].map(parseVerifierKey);
    const { verified } = openNote(submitted + response, keys);
    return {
      lines: parseNote(submitted + response).signatures.length,
      keys: unique(verified.map(({ key }) => formatVerifierKey(key))),
    };
  },
  (one) => {
    const keys = unique([textOf(one, "log_vkey"), ...textsOf(one, "witness_vkeys")]);
    return { lines: keys.length, keys };
  },
);

/** By kind. */
export const noteKinds: Readonly<Record<string, KindHandler>> = {
  "own/vkey": vkey,
  "own/checkpoint": checkpoint,
  "own/note": note,
  "note/note": note,
  "own/cosignature": cosignature,
  "own/policy": policy,
  "own/quorum": quorum,
  "own/log-proof": logProof,
  "own/tile-path": tilePath,
  "peers/cosignatures": peers,
};
