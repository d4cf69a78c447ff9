/**
 * What a mandate lets its holder do: tools, and resources by address or by what lies under one. A scope says yes to what it
 * lists and to nothing else, and what lists less, or lies under, is narrower.
 */

import { FormatError } from "../errors.ts";
import { MAX_NAMES } from "../receipt/fields.ts";
import { scopedToolShape } from "../receipt/identity.ts";
import { array, mapped, object, type Shape, string } from "../shape.ts";

/** A scope; both lists sorted by UTF-16 code units, without repetition, at most 32 each. */
export type MandateScope = {
  /** `<server id>/<tool>`, or `<server id>/*` for every tool, prompt and completion of the server. */
  readonly tools: readonly string[];
  /** `<server id>/<URI>`; one that ends with a slash means all that lies under it. */
  readonly resources: readonly string[];
};

/** What a call asks of a server. */
export type MandateTarget =
  | { readonly kind: "tool" | "resource"; readonly serverId: string; readonly name: string }
  /** Prompts, completions and whatever else has no list of its own. */
  | { readonly kind: "other"; readonly serverId: string };

const resourceShape: Shape<string> = mapped(
  string({ pattern: /^[a-z0-9][a-z0-9-]{0,23}\/[!-~]{1,480}$/u, maxLength: 505, description: "<server id>/<URI>" }),
  (resource) => {
    if (!mayLeadElsewhere(resource)) return resource;
    throw new FormatError("ERR_SHAPE", "want an address without dot segments");
  },
);

export const mandateScopeShape: Shape<MandateScope> = object<MandateScope>({
  tools: sortedList(scopedToolShape),
  resources: sortedList(resourceShape),
});

/** True if the scope allows what a call asks. One that may lead elsewhere is under nothing. */
export function covers({ tools, resources }: MandateScope, target: MandateTarget): boolean {
  const whole = `${target.serverId}/*`;
  switch (target.kind) {
    case "tool":
      return tools.includes(whole) || tools.includes(`${target.serverId}/${target.name}`);
    case "resource": {
      const address = `${target.serverId}/${target.name}`;
      return !mayLeadElsewhere(address) && resources.some((resource) => isUnder(resource, address));
    }
    case "other":
      return tools.includes(whole);
  }
}

/** True if `inner` allows nothing that `outer` does not. */
export function isWithin(inner: MandateScope, outer: MandateScope): boolean {
  return (
    areToolsWithin(inner.tools, outer.tools) &&
    inner.resources.every((item) => outer.resources.some((resource) => isUnder(resource, item)))
  );
}

/** True if each of `inner` is in `outer`, by itself or by its server. */
export function areToolsWithin(inner: readonly string[], outer: readonly string[]): boolean {
  const allowed = new Set(outer);
  return inner.every((tool) => allowed.has(tool) || allowed.has(`${tool.slice(0, tool.indexOf("/"))}/*`));
}

function isUnder(resource: string, address: string): boolean {
  return address === resource || (resource.endsWith("/") && address.startsWith(resource));
}

/** What readers of URLs take out wherever it stands (tabs, line ends), or at the end: what is left may be another address. */
const REMOVED = /\p{Cc}/u;
/**
 * A segment of dots, and of the spaces that some file systems cut off behind them, between slashes of either kind: spelled as they
 * are or percent-encoded, once or more often, for readers that decode as often.
 */
const DOTS =
  /(?:[/\\]|%(?:25)*(?:2f|5c))(?: |%(?:25)*20)*(?:\.|%(?:25)*2e)(?:[. ]|%(?:25)*2[e0])*(?:[/\\?#;]|%(?:25)*(?:2f|5c|3b)|$)/iu;

/** True for an address that its reader may resolve to another place than the one that it names: it is under no prefix. */
export function mayLeadElsewhere(address: string): boolean {
  return REMOVED.test(address) || DOTS.test(address);
}

function sortedList(shape: Shape<string>): Shape<readonly string[]> {
  return mapped(array(shape, { max: MAX_NAMES }), (items) => {
    if (items.every((item, index) => index === 0 || (items[index - 1] ?? "") < item)) return items;
    throw new FormatError("ERR_SHAPE", "want a sorted list without repetition");
  });
}
