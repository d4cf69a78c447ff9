/**
 * A publisher's statement (docs/formats/publisher-statement.md): the holder of a key says that a server of this name, with this
 * identity, is its own, for a time. Whose key that is, the one who reads it says: a statement vouches for no key.
 */

import { CheckError, FormatError } from "./errors.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import { type Digest, digestShape, type Hex64, hex64Shape } from "./receipt/fields.ts";
import { array, literal, mapped, nullable, object, readShape, type Shape, string, tagged, timestamp } from "./shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import type { PublicKey } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import { type Timestamp, timestampMs } from "./time.ts";

/** Most bytes of a statement. */
export const MAX_PUBLISHER_BYTES = 65_536;

/** What a server is known by. */
export type StatedIdentity =
  | {
      readonly kind: "http";
      /** As the operator configures it, character for character. */
      readonly url: string;
      /** SHA-256 of the SubjectPublicKeyInfo of its certificates; empty: the statement names none. */
      readonly spki: readonly Hex64[];
    }
  | {
      readonly kind: "stdio";
      /** SHA-256 of the bytes of the executable. */
      readonly executable: Digest;
      /** Its arguments, all of them: a runtime is nobody's server without them. */
      readonly args: readonly string[];
    };

/** Body of a statement. */
export type PublisherBody = {
  readonly kind: "publisher-statement";
  readonly v: 1;
  /** How the publisher calls itself. */
  readonly publisher: string;
  /** The server's name, as in a registry or in `serverInfo`, and its version, which is told and not compared. */
  readonly server: { readonly name: string; readonly version: string };
  readonly identity: StatedIdentity;
  /** Digest of the surface, with the server's name in the place of an operator's id; null: the statement says nothing of it. */
  readonly surface: Digest | null;
  readonly not_before: Timestamp;
  readonly not_after: Timestamp;
};

/** A statement with the one signature of its publisher. */
export type PublisherStatement = Signed<PublisherBody>;

/** Name of a publisher: as it signs, and as configured at the gateway. */
export const publisherName: Shape<string> = string({
  pattern: /^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$/u,
  maxLength: 128,
  description: "a publisher: 1 to 128 of A-Z, a-z, 0-9, '.', '_', '@', '/', '-'",
});

/** Name of a server, as its publisher and registries write it; no character of it is invisible or looks like another. */
export const publishedName: Shape<string> = string({
  pattern: /^[A-Za-z0-9@][\x21-\x7e]{0,254}$/u,
  maxLength: 255,
  description: "a server's name: 1 to 255 printable ASCII characters without spaces",
});

const identityShape: Shape<StatedIdentity> = tagged("kind", {
  http: object<Extract<StatedIdentity, { kind: "http" }>>({
    kind: literal("http"),
    url: string({ pattern: /^https?:\/\/[\x21-\x7e]+$/u, maxLength: 2048, description: "an http or https URL" }),
    spki: array(hex64Shape, { max: 8 }),
  }),
  stdio: object<Extract<StatedIdentity, { kind: "stdio" }>>({
    kind: literal("stdio"),
    executable: digestShape,
    args: array(string({ maxLength: 4096 }), { max: 256 }),
  }),
});

const statementShape: Shape<PublisherStatement> = mapped(
  object<PublisherStatement>({
    kind: literal("publisher-statement"),
    v: literal(1),
    publisher: publisherName,
    server: object<PublisherBody["server"]>({
      name: publishedName,
      version: string({ pattern: /^[\x21-\x7e]{1,128}$/u, maxLength: 128, description: "a version" }),
    }),
    identity: identityShape,
    surface: nullable(digestShape),
    not_before: timestamp(),
    not_after: timestamp(),
    signatures: signaturesShape,
  }),
  (statement) => {
    if (statement.signatures.length !== 1) throw new FormatError("ERR_SHAPE", "want one signature");
    if (statement.not_before < statement.not_after) return statement;
    throw new FormatError("ERR_SHAPE", "want not_before in front of not_after");
  },
);

/**
 * Reads a statement; its signature is read and not judged.
 *
 * @param bytes  canonical JSON
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 */
export function parsePublisherStatement(bytes: Uint8Array): PublisherStatement {
  return readShape(statementShape, parseCanonical(bytes, { maxBytes: MAX_PUBLISHER_BYTES }), "statement");
}

/**
 * Checks that a publisher signed the statement, under its own name.
 *
 * @throws {CheckError} ERR_PUBLISHER_KEY
 */
export function checkPublisher(
  statement: PublisherStatement,
  { name, key }: { readonly name: string; readonly key: PublicKey },
): void {
  if (statement.publisher !== name) {
    throw new CheckError("ERR_PUBLISHER_KEY", `the statement is of ${statement.publisher}, not of ${name}`);
  }
  try {
    checkSignedBy(statement, key);
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    throw new CheckError("ERR_PUBLISHER_KEY", `the statement is not signed by the key of ${name}`, { cause });
  }
}

/**
 * Checks that the statement holds at a time: from `not_before` on, and in front of `not_after`.
 *
 * @throws {CheckError} ERR_PUBLISHER_TIME
 */
export function checkStatementTime(
  { not_before, not_after }: Pick<PublisherBody, "not_before" | "not_after">,
  nowMs: number,
): void {
  if (nowMs < timestampMs(not_before)) {
    throw new CheckError("ERR_PUBLISHER_TIME", `the statement does not hold before ${not_before}`);
  }
  if (nowMs >= timestampMs(not_after)) {
    throw new CheckError("ERR_PUBLISHER_TIME", `the statement does not hold any more since ${not_after}`);
  }
}

/** Bytes of a new statement. @throws {FormatError} ERR_SHAPE, ERR_JSON_* for a body that no reader would take */
export function signPublisherStatement(body: Omit<PublisherBody, "kind" | "v">, signer: EnvelopeSigner): Uint8Array {
  const whole: PublisherBody = { kind: "publisher-statement", v: 1, ...body };
  const bytes = canonicalBytes(signEnvelope(whole, [signer]));
  parsePublisherStatement(bytes);
  return bytes;
}
