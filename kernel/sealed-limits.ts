/**
 * Bounds of calls and of open sessions as artifacts seal them (docs/formats/policy-artifact.md#limits): of a principal, of a
 * session, of a tool, in all. What an artifact of version 1 can name is less; one of version 2 of a gateway names each of them.
 */

import { FormatError } from "./errors.ts";
import { array, integer, mapped, object, optional, type Shape, string } from "./shape.ts";

/** A bound of one tool, of all callers together. */
export type SealedToolLimit = {
  /** `<server>/<tool>`. */
  readonly tool: string;
  readonly limit: number;
};

/** Bounds of calls and of open sessions, each from 1 to 10,000,000. */
export type SealedLimits = {
  readonly calls_per_minute?: {
    readonly principal?: number;
    readonly session?: number;
    /** Sorted by tool; from version 2 on. */
    readonly tools?: readonly SealedToolLimit[];
  };
  readonly calls_in_flight?: {
    readonly principal?: number;
    /** From version 2 on. */
    readonly session?: number;
    readonly total?: number;
    /** Sorted by tool; from version 2 on. */
    readonly tools?: readonly SealedToolLimit[];
  };
  /** Open at a time; from version 2 on. */
  readonly sessions?: { readonly principal?: number };
};

/** Versions of both kinds of artifacts. */
export type ArtifactVersion = 1 | 2;

/** Most tools of one list. */
const MAX_TOOLS = 2_000;

/** Names of the bounds that version 1 has. */
const FIRST_NAMES: ReadonlySet<string> = new Set([
  "calls_per_minute.principal",
  "calls_per_minute.session",
  "calls_in_flight.principal",
  "calls_in_flight.total",
]);

/** A number of calls, or of whatever is counted. */
export const boundShape: Shape<number> = integer({ min: 1, max: 10_000_000 });

/** Lists are sets: sorted by their key and without doubles, so that one set has one spelling. */
export function sorted<T>(shape: Shape<readonly T[]>, keyOf: (item: T) => string): Shape<readonly T[]> {
  return mapped(shape, (items) => {
    const keys = items.map(keyOf);
    if (keys.every((key, i) => i === 0 || key > (keys[i - 1] ?? ""))) return items;
    throw new FormatError("ERR_SHAPE", "want distinct items in ascending order");
  });
}

/** One tool: in lists of tools `<server>/*` stands for all of a server, and a bound of all of them there is none. */
const boundToolsShape: Shape<readonly SealedToolLimit[]> = sorted(
  array(
    object<SealedToolLimit>({
      tool: string({
        pattern: /^[a-z0-9][a-z0-9-]{0,23}\/(?!\*$)[^\p{Cc}\p{Cs}]{1,128}$/u,
        maxLength: 153,
        description: "<server>/<tool>",
      }),
      limit: boundShape,
    }),
    { max: MAX_TOOLS },
  ),
  ({ tool }) => tool,
);

/** Limits of an artifact. */
export const limitsShape: Shape<SealedLimits> = object<SealedLimits>({
  calls_per_minute: optional(
    object<NonNullable<SealedLimits["calls_per_minute"]>>({
      principal: optional(boundShape),
      session: optional(boundShape),
      tools: optional(boundToolsShape),
    }),
  ),
  calls_in_flight: optional(
    object<NonNullable<SealedLimits["calls_in_flight"]>>({
      principal: optional(boundShape),
      session: optional(boundShape),
      total: optional(boundShape),
      tools: optional(boundToolsShape),
    }),
  ),
  sessions: optional(object<NonNullable<SealedLimits["sessions"]>>({ principal: optional(boundShape) })),
});

/** Each bound under its name: `calls_per_minute.session`, `calls_in_flight.tools.<server>/<tool>`. */
export function boundsByName({
  calls_per_minute: rate = {},
  calls_in_flight: inFlight = {},
  sessions = {},
}: SealedLimits): ReadonlyMap<string, number> {
  const named: readonly (readonly [string, number | undefined])[] = [
    ["calls_per_minute.principal", rate.principal],
    ["calls_per_minute.session", rate.session],
    ...namedTools("calls_per_minute", rate.tools),
    ["calls_in_flight.principal", inFlight.principal],
    ["calls_in_flight.session", inFlight.session],
    ["calls_in_flight.total", inFlight.total],
    ...namedTools("calls_in_flight", inFlight.tools),
    ["sessions.principal", sessions.principal],
  ];
  return new Map(named.flatMap(([name, bound]) => (bound === undefined ? [] : [[name, bound] as const])));
}

function namedTools(
  member: string,
  tools: readonly SealedToolLimit[] = [],
): readonly (readonly [string, number | undefined])[] {
  return tools.map(({ tool, limit }) => [`${member}.tools.${tool}`, limit] as const);
}

/** True if an artifact of this version can seal the bound of that name. */
export function canSeal(version: ArtifactVersion, name: string): boolean {
  return version > 1 || FIRST_NAMES.has(name);
}

/** Checks that limits have nothing that their version has not. @throws {FormatError} ERR_SHAPE naming the member */
export function checkLimitsVersion(version: ArtifactVersion, limits: SealedLimits): void {
  const { calls_per_minute: rate, calls_in_flight: inFlight, sessions } = limits;
  const later = [
    ...(rate?.tools === undefined ? [] : ["calls_per_minute.tools"]),
    ...(inFlight?.session === undefined ? [] : ["calls_in_flight.session"]),
    ...(inFlight?.tools === undefined ? [] : ["calls_in_flight.tools"]),
    ...(sessions === undefined ? [] : ["sessions"]),
  ];
  if (version > 1 || later[0] === undefined) return;
  throw new FormatError("ERR_SHAPE", `artifact.limits.${later[0]}: want an artifact of version 2`);
}

/**
 * Checks that limits leave nothing to whoever configures: each bound that a gateway always has is named, and lists of tools are
 * there, if only as empty ones. Without `calls_in_flight.session` a session has no bound of its own.
 *
 * @throws {FormatError} ERR_SHAPE naming the member
 */
export function checkLimitsComplete({
  calls_per_minute: rate,
  calls_in_flight: inFlight,
  sessions,
}: SealedLimits): void {
  const wanted: readonly (readonly [string, unknown])[] = [
    ["calls_per_minute.principal", rate?.principal],
    ["calls_per_minute.session", rate?.session],
    ["calls_per_minute.tools", rate?.tools],
    ["calls_in_flight.principal", inFlight?.principal],
    ["calls_in_flight.total", inFlight?.total],
    ["calls_in_flight.tools", inFlight?.tools],
    ["sessions.principal", sessions?.principal],
  ];
  const missing = wanted.find(([, value]) => value === undefined);
  if (missing === undefined) return;
  throw new FormatError("ERR_SHAPE", `artifact.limits.${missing[0]}: want it in an artifact of version 2`);
}

/** Names of bounds that are higher than the other's, where the other has one. */
export function higherBounds(own: SealedLimits, other: SealedLimits): readonly string[] {
  const bounds = boundsByName(other);
  return [...boundsByName(own)]
    .filter(([name, bound]) => bound > (bounds.get(name) ?? Number.POSITIVE_INFINITY))
    .map(([name]) => `limits.${name}`);
}
