/**
 * Client certificates as principals. The TLS layer has checked a path to one of all the certificates that are trusted for
 * anything; here a path is followed, signature by signature, to those that are trusted for this one purpose. Without that
 * the authority of one trust domain could speak for another's names.
 */

import { X509Certificate } from "node:crypto";
import { sha256 } from "#crypto";
import { formatBase64url } from "../../kernel/base64url.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Caller, CallerFacts } from "../pipeline/call.ts";
import type { CertificatePrincipal } from "./oauth-config.ts";
import type { Revocation } from "./revocation.ts";
import { spiffeIdOf } from "./spiffe-id.ts";

/** What a client showed in the handshake of this connection, where it proved that it has the key. */
export interface ClientCertificate {
  /** With the certificates that the client sent behind it as `issuerCertificate`. */
  readonly leaf: X509Certificate;
  /** True if the TLS layer found a valid path to a certificate that is trusted for anything. */
  readonly isAuthorized: boolean;
}

/** Whose certificates stand for whom. */
export interface CertificateRules {
  /** Anchors of `principals`. */
  readonly authorities: readonly X509Certificate[];
  readonly principals: readonly CertificatePrincipal[];
  /** Anchors by SPIFFE trust domain. */
  readonly spiffe: ReadonlyMap<string, readonly X509Certificate[]>;
  /** Undefined if no list is configured: then a certificate holds until it ends. */
  readonly revocation?: Revocation;
}

/** Most certificates between a leaf and its anchor. */
const MAX_PATH = 8;
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/gu;

/**
 * The certificates of a PEM file that others are checked against.
 *
 * @throws {FormatError} ERR_CERTIFICATE if there is none, or one is not a certificate of an authority
 */
export function parseAuthorities(text: string): readonly X509Certificate[] {
  const found = (text.match(PEM) ?? []).map(parseAuthority);
  if (found.length > 0) return found;
  throw new FormatError("ERR_CERTIFICATE", "want at least one certificate in PEM");
}

/** Whom a certificate stands for, or why nobody. */
export function callerOfCertificate(
  { leaf, isAuthorized }: ClientCertificate,
  { authorities, principals, spiffe, revocation }: CertificateRules,
  nowMs: number,
): Caller | ReasonCode {
  if (nowMs >= Date.parse(leaf.validTo)) return "auth.expired";
  if (nowMs < Date.parse(leaf.validFrom)) return "auth.not-yet-valid";
  if (!isAuthorized || leaf.ca) return "auth.certificate";
  const id = spiffeIdOf(leaf.subjectAltName);
  if (id !== undefined) {
    const anchors = spiffe.get(id.trustDomain) ?? [];
    const fault = pathFault(leaf, anchors, nowMs, revocation);
    if (fault !== undefined) return fault;
    return callerOf(`spiffe://${id.trustDomain}`, id.text, "workload", leaf);
  }
  const subject = leaf.subject;
  const known = principals.find((principal) => principal.subject.join("\n") === subject);
  const fault = known === undefined ? "auth.certificate" : pathFault(leaf, authorities, nowMs, revocation);
  if (known === undefined || fault !== undefined) return fault ?? "auth.certificate";
  return callerOf("x509", known.principal, "agent", leaf);
}

/** `x5t#S256` of RFC 8705 §3.1. */
export function certificateThumbprint({ leaf }: ClientCertificate): string {
  return formatBase64url(sha256(new Uint8Array(leaf.raw)));
}

/**
 * Whether signatures lead from the leaf over what the client sent to one of the anchors, all of them in their time, and none
 * of those below the anchor was taken back.
 */
function pathFault(
  leaf: X509Certificate,
  anchors: readonly X509Certificate[],
  nowMs: number,
  revocation: Revocation | undefined,
): ReasonCode | undefined {
  let issued = leaf;
  for (let length = 0; length < MAX_PATH; length += 1) {
    const below = issued;
    const anchor = anchors.find((each) => isIssuer(each, below, nowMs));
    const issuer = anchor ?? issued.issuerCertificate;
    if (issuer === undefined || !isIssuer(issuer, issued, nowMs)) return "auth.certificate";
    const fault = revocation?.fault(issued, issuer);
    if (fault !== undefined || anchor !== undefined) return fault;
    issued = issuer;
  }
  return "auth.certificate";
}

function isIssuer(issuer: X509Certificate, issued: X509Certificate, nowMs: number): boolean {
  const isInTime = nowMs >= Date.parse(issuer.validFrom) && nowMs < Date.parse(issuer.validTo);
  return isInTime && issuer.ca && issued.checkIssued(issuer) && issued.verify(issuer.publicKey);
}

function callerOf(issuer: string, name: string, kind: CallerFacts["kind"], leaf: X509Certificate): Caller {
  const facts: CallerFacts = {
    kind,
    groups: [],
    roles: [],
    scopes: [],
    expiresAtMs: Date.parse(leaf.validTo),
    actors: [],
    binding: "connection",
  };
  return { issuer, name, provenance: "connection-credential", outcome: "verified", facts };
}

function parseAuthority(pem: string): X509Certificate {
  try {
    const certificate = new X509Certificate(pem);
    if (certificate.ca) return certificate;
  } catch (cause) {
    throw new FormatError("ERR_CERTIFICATE", "want certificates in PEM", { cause });
  }
  throw new FormatError("ERR_CERTIFICATE", "want certificates of authorities; one is not marked as such");
}
