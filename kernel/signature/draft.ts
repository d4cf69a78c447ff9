/**
 * Drafts of envelopes: the canonical text is checked and written; its signatures, and where there is one its link to the
 * envelope before it, are not in it yet. So one thread can draft what another one links and signs. Sealing puts in values of
 * one form and length, which cannot make of a good text a bad one.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../bytes.ts";
import { FormatError, invariant } from "../errors.ts";
import { formatCanonical, formatMembers } from "../json/canonical.ts";
import type { JsonObject } from "../json/value.ts";
import { formatWithSpans, readShape, type Shape } from "../shape.ts";
import type { Signature } from "./envelope.ts";
import type { PublicKey } from "./public-key.ts";
import type { EnvelopeSigner } from "./signer.ts";
import { placeholderOf, signDigest } from "./signing.ts";

/** The text of an envelope in pieces: what was left out stands between them. Strings alone, so that it can be told to a thread. */
export interface EnvelopeDraft {
  readonly kind: string;
  /** Up to the value of the link; empty if there is none. */
  readonly front: string;
  /** From there to the member `signatures`, whose comma is not in it. */
  readonly middle: string;
  /** What stands behind the value of `signatures`. */
  readonly tail: string;
  /** UTF-16 units of the sealed text. */
  readonly length: number;
}

/** An envelope's canonical bytes, and the signatures in it. */
export interface SealedBytes {
  readonly bytes: Uint8Array;
  readonly signatures: readonly Signature[];
}

/** What stands for a link until it is known: a hash of no bytes that anybody has. */
const UNLINKED: string = "0".repeat(64);

const LINK = /^[0-9a-f]{64}$/;
/** The member that names the envelope before. */
const PREV = "prev";
const SIGNATURES = "signatures";
/** `kind` is always there and in front of it. */
const SIGNATURES_KEY = `,"${SIGNATURES}":`;

type Written = NonNullable<ReturnType<typeof formatWithSpans>>;

/** In front of everything, with nothing in it. */
const NOWHERE = [0, 0] as const;

/**
 * The draft of an envelope that `shape` reads.
 *
 * @param body  without `signatures`, and without its link
 * @param isLinked  whether it gets a link, the member `prev`, which is `marked` in the shape
 * @param keys  that will sign, in their order
 * @param name  of the envelope in messages
 * @returns the draft, and a text as long as the sealed one in every encoding
 * @throws {FormatError | CheckError} as the shape; as canonicalBytes
 */
export function draftEnvelope(
  shape: Shape<unknown>,
  body: JsonObject & { readonly kind: string },
  isLinked: boolean,
  keys: readonly PublicKey[],
  name: string,
): { readonly draft: EnvelopeDraft; readonly text: string } {
  const signatures = keys.map(placeholderOf);
  // New members in front: V8 takes longer to add one behind a spread than to copy all the others.
  const envelope = isLinked ? { prev: UNLINKED, signatures, ...body } : { signatures, ...body };
  const left = isLinked ? 2 : 1;
  const short = formatWithSpans(shape, envelope);
  const { text, spans } = short?.spans.length === left ? short : writeMembers(shape, envelope, name);
  const [linked, signed] = isLinked ? spans : [NOWHERE, ...spans];
  invariant(spans.length === left && linked !== undefined && signed !== undefined, "draftEnvelope: what is left out");
  const keyAt = signed[0] - SIGNATURES_KEY.length;
  invariant(text.startsWith(SIGNATURES_KEY, keyAt), "draftEnvelope: the place of signatures");
  invariant(!isLinked || text.startsWith(`"${UNLINKED}"`, linked[0]), "draftEnvelope: the place of the link");
  const parts = { front: text.slice(0, linked[0]), middle: text.slice(linked[1], keyAt), tail: text.slice(signed[1]) };
  return { draft: { kind: body.kind, ...parts, length: text.length }, text };
}

/** The text of a value that the shape does not write, and where link and signatures are in it: the shape reads it instead. */
function writeMembers(shape: Shape<unknown>, envelope: JsonObject, name: string): Written {
  const members = [...formatMembers(envelope)];
  readShape(shape, envelope, name);
  const spans: (readonly [number, number])[] = [];
  let at = "{".length;
  for (const [key, member] of members) {
    const end = at + member.length;
    if (key === PREV || key === SIGNATURES) spans.push([at + `"${key}":`.length, end]);
    at = end + ",".length;
  }
  return { text: `{${members.map(([, member]) => member).join(",")}}`, spans };
}

/**
 * Links and signs a draft.
 *
 * @param link  64 lower-case hexadecimal digits if the draft has a place for it; undefined if it has none
 * @param signers  of the keys that it was drafted for, in their order
 * @throws {FormatError} ERR_SHAPE if the link is none
 */
export function sealDraft(
  { kind, front, middle, tail }: EnvelopeDraft,
  link: string | undefined,
  signers: readonly EnvelopeSigner[],
): SealedBytes {
  if ((link === undefined) !== (front === "") || (link !== undefined && !LINK.test(link))) {
    throw new FormatError("ERR_SHAPE", `${kind}: want the hash of the one before, and none in a first one`);
  }
  const head = link === undefined ? middle : `${front}"${link}"${middle}`;
  const body = formatUtf8(head + tail);
  const signatures = signDigest(kind, sha256(body), signers);
  const signed = formatUtf8(SIGNATURES_KEY + formatCanonical(signatures));
  const isAscii = body.length === head.length + tail.length;
  const at = isAscii ? head.length : formatUtf8(head).length;
  const bytes = new Uint8Array(body.length + signed.length);
  bytes.set(body.subarray(0, at));
  bytes.set(signed, at);
  bytes.set(body.subarray(at), at + signed.length);
  return { bytes, signatures };
}
