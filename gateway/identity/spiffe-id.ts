/** SPIFFE ids (SPIFFE-ID §2, X509-SVID §2): the one URI among the alternative names of a certificate. */

/** An id, and the domain whose bundle its certificate must go back to. */
export interface SpiffeId {
  /** `spiffe://<trust domain>/<path>` */
  readonly text: string;
  readonly trustDomain: string;
}

const ID = /^spiffe:\/\/([a-z0-9._-]{1,190})((?:\/[A-Za-z0-9._-]+)+)$/u;
/** The specification allows 2,048; policies and receipts have names of at most 255. */
const MAX_LENGTH = 255;

/**
 * The id of a certificate, if it has exactly one URI and that is one.
 *
 * @param names  alternative names as Node prints them: `URI:…, DNS:…`, quoted where a value could be taken for two
 */
export function spiffeIdOf(names: string | undefined): SpiffeId | undefined {
  if (names === undefined || names.includes('"')) return undefined;
  const uris = names.split(", ").filter((name) => name.startsWith("URI:"));
  const [uri] = uris;
  return uris.length === 1 && uri !== undefined ? parseSpiffeId(uri.slice("URI:".length)) : undefined;
}

/** SPEC SPIFFE-ID §2.2: no empty, `.` or `..` segment, no slash at the end, no percent encoding, no query, no fragment. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  const match = ID.exec(text);
  const [whole, trustDomain, path] = match ?? [];
  if (whole !== text || trustDomain === undefined || path === undefined || text.length > MAX_LENGTH) return undefined;
  const isDotted = path.split("/").some((segment) => segment === "." || segment === "..");
  return isDotted ? undefined : { text, trustDomain };
}
