/**
 * Names of trust records in a log. A record says in `transparency`, which it signs, where its entry will be; so the entry is
 * named before it exists.
 *
 *     derived name  = hex SHA-256("countersign/entry-name/v1" LF ‖ JCS(record without signature and transparency))
 *     reserved name = 32 hex digits (128 bits), reserved by an entry of the stream that will use it
 *     transparency  = https://<origin>/trust-records/<name>
 *
 * A derived name commits to the content, so it cannot be squatted or aimed at another record.
 */

import { sha256 } from "#crypto";
import { concat, formatUtf8 } from "../bytes.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes } from "../json/canonical.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";

const CONTEXT = formatUtf8("countersign/entry-name/v1\n");
/** RFC 3986: the scheme https, a host, and nothing that a URI cannot hold. */
const HTTPS_URI = /^https:\/\/(?:[\w.~%!$&'()*+,;=:-]*@)?(?:[\w.~%-]+|\[[0-9a-f:.]+\])(?::[0-9]*)?(?:[/?#][!-~]*)?$/iu;
const DERIVED = /^[0-9a-f]{64}$/u;
const RESERVED = /^[0-9a-f]{32}$/u;

/** How a name came about; undefined for a text that is no name. */
export function nameForm(name: string): "derived" | "reserved" | undefined {
  if (DERIVED.exec(name)?.[0] === name) return "derived";
  return RESERVED.exec(name)?.[0] === name ? "reserved" : undefined;
}

/** The derived name of a record: 64 lower-case hexadecimal digits. */
export function derivedName(record: JsonObject): string {
  const { signature: _, transparency: __, ...named } = record;
  return formatHex(sha256(concat(CONTEXT, canonicalBytes(named))));
}

/** The URI of the entry called `name` in the log of `origin`. */
export function trustRecordUri(origin: string, name: string): string {
  return `https://${origin}/trust-records/${name}`;
}

/** The name that `uri` gives an entry of the log of `origin`; undefined if it is the URI of another log. */
export function nameInLog(uri: string, origin: string): string | undefined {
  const prefix = trustRecordUri(origin, "");
  return uri.startsWith(prefix) ? uri.slice(prefix.length) : undefined;
}

/** True for what `transparency` may be: an absolute https URI with a host (TR-ANC-001). */
export function isTransparencyUri(value: JsonValue | undefined): value is string {
  return typeof value === "string" && HTTPS_URI.exec(value)?.[0] === value;
}
