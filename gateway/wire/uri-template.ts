/** URI templates (RFC 6570), as far as routing needs them: could this URI have come from this template? */

/**
 * True if the literal parts of the template stand in the URI in their order, the first at its start and the last at its
 * end. Linear in the length of the URI for each part; what stands between the parts is not looked at.
 */
export function matchesTemplate(template: string, uri: string): boolean {
  const parts = template.split(/\{[^{}]*\}/u);
  const [first = ""] = parts;
  if (parts.length === 1) return template === uri;
  const last = parts.at(-1) ?? "";
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false;
  const end = uri.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = uri.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
