/** How many calls may be made and be under way: one object, from the configuration's `limits` and its defaults. */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { SealedLimits, SealedToolLimit } from "../../kernel/sealed-limits.ts";
import { integer, object, optional, readShape, record, type Shape } from "../../kernel/shape.ts";

/** The limits in force. Tools are named `<server>/<tool>`. */
export interface CallLimits {
  readonly perMinute: {
    readonly principal: number;
    readonly session: number;
    /** Of all callers together. */
    readonly tools: ReadonlyMap<string, number>;
  };
  readonly inFlight: {
    readonly principal: number;
    /** Undefined: no bound of its own. */
    readonly session: number | undefined;
    readonly total: number;
    readonly tools: ReadonlyMap<string, number>;
  };
  /** Open at a time; of one caller. */
  readonly sessions: { readonly principal: number };
}

type RateConfig = {
  readonly principal?: number;
  readonly session?: number;
  readonly tools?: Readonly<Record<string, number>>;
};

type InFlightConfig = {
  readonly principal?: number;
  readonly session?: number;
  readonly total?: number;
  readonly tools?: Readonly<Record<string, number>>;
};

/** The member `limits` of the configuration. */
export type CallLimitsConfig = {
  readonly calls_per_minute?: RateConfig;
  readonly calls_in_flight?: InFlightConfig;
  readonly sessions?: { readonly principal?: number };
};

/** What holds where the configuration says nothing (mcp-gateway §12). */
export const DEFAULT_CALL_LIMITS: CallLimits = {
  perMinute: { principal: 600, session: 300, tools: new Map() },
  inFlight: { principal: 256, session: undefined, total: 1_024, tools: new Map() },
  sessions: { principal: 1_024 },
};

const MAX_LIMIT = 10_000_000;
const MAX_TOOLS = 2_000;

const limit: Shape<number> = integer({ min: 1, max: MAX_LIMIT });
const tools: Shape<Readonly<Record<string, number>>> = record(limit, {
  max: MAX_TOOLS,
  key: /^[a-z0-9][a-z0-9-]{0,23}\/[^\0]{1,128}$/u,
});

/** Shape of the member `limits`. */
export const callLimitsShape: Shape<CallLimitsConfig> = object<CallLimitsConfig>({
  calls_per_minute: optional(
    object<RateConfig>({ principal: optional(limit), session: optional(limit), tools: optional(tools) }),
  ),
  calls_in_flight: optional(
    object<InFlightConfig>({
      principal: optional(limit),
      session: optional(limit),
      total: optional(limit),
      tools: optional(tools),
    }),
  ),
  sessions: optional(object<NonNullable<CallLimitsConfig["sessions"]>>({ principal: optional(limit) })),
});

/** The limits that a configuration asks for. */
export function callLimitsOf({
  calls_per_minute: rate = {},
  calls_in_flight: inFlight = {},
  sessions = {},
}: CallLimitsConfig): CallLimits {
  const base = DEFAULT_CALL_LIMITS;
  return {
    perMinute: {
      principal: rate.principal ?? base.perMinute.principal,
      session: rate.session ?? base.perMinute.session,
      tools: new Map(Object.entries(rate.tools ?? {})),
    },
    inFlight: {
      principal: inFlight.principal ?? base.inFlight.principal,
      session: inFlight.session,
      total: inFlight.total ?? base.inFlight.total,
      tools: new Map(Object.entries(inFlight.tools ?? {})),
    },
    sessions: { principal: sessions.principal ?? base.sessions.principal },
  };
}

/** The member `limits` of a configuration's JSON, read alone: nothing else of it is judged. @throws {FormatError} ERR_SHAPE */
export function readCallLimits(config: JsonValue): CallLimitsConfig {
  const limits = isJsonObject(config) ? config["limits"] : undefined;
  return limits === undefined ? {} : readShape(callLimitsShape, limits, "config.limits");
}

/** What a configuration says of limits, as an artifact writes it. */
export function configuredBounds({
  calls_per_minute: rate = {},
  calls_in_flight: inFlight = {},
  sessions,
}: CallLimitsConfig): SealedLimits {
  const withTools = <T extends RateConfig>({ tools, ...rest }: T) =>
    tools === undefined ? rest : { ...rest, tools: toolBounds(Object.entries(tools)) };
  return {
    calls_per_minute: withTools(rate),
    calls_in_flight: withTools(inFlight),
    ...(sessions === undefined ? {} : { sessions }),
  };
}

/** Every limit in force, as an artifact of version 2 seals it. */
export function allBounds({ perMinute, inFlight, sessions }: CallLimits): SealedLimits {
  return {
    calls_per_minute: {
      principal: perMinute.principal,
      session: perMinute.session,
      tools: toolBounds([...perMinute.tools]),
    },
    calls_in_flight: {
      principal: inFlight.principal,
      ...(inFlight.session === undefined ? {} : { session: inFlight.session }),
      total: inFlight.total,
      tools: toolBounds([...inFlight.tools]),
    },
    sessions: { principal: sessions.principal },
  };
}

function toolBounds(entries: readonly (readonly [string, number])[]): readonly SealedToolLimit[] {
  return entries.map(([tool, most]) => ({ tool, limit: most })).sort((a, b) => (a.tool < b.tool ? -1 : 1));
}

/** The limits that an artifact of version 2 seals: all of them. */
export function sealedCallLimits({
  calls_per_minute: rate = {},
  calls_in_flight: inFlight = {},
  sessions = {},
}: SealedLimits): CallLimits {
  const record = ({ tools: list = [], ...rest }: { readonly tools?: readonly SealedToolLimit[] }) => ({
    ...rest,
    tools: Object.fromEntries(list.map(({ tool, limit: most }) => [tool, most])),
  });
  return callLimitsOf({ calls_per_minute: record(rate), calls_in_flight: record(inFlight), sessions });
}

/** Limits where a sealed artifact has none that is lower. */
export function narrowedBy(limits: CallLimits, sealed: SealedLimits): CallLimits {
  const { calls_per_minute: rate = {}, calls_in_flight: inFlight = {}, sessions = {} } = sealed;
  const lower = (one: number, other: number | undefined): number => Math.min(one, other ?? one);
  const { perMinute, inFlight: under } = limits;
  return {
    perMinute: {
      principal: lower(perMinute.principal, rate.principal),
      session: lower(perMinute.session, rate.session),
      tools: narrowedTools(perMinute.tools, rate.tools),
    },
    inFlight: {
      principal: lower(under.principal, inFlight.principal),
      session: under.session === undefined ? inFlight.session : lower(under.session, inFlight.session),
      total: lower(under.total, inFlight.total),
      tools: narrowedTools(under.tools, inFlight.tools),
    },
    sessions: { principal: lower(limits.sessions.principal, sessions.principal) },
  };
}

function narrowedTools(
  tools: ReadonlyMap<string, number>,
  sealed: readonly SealedToolLimit[] | undefined,
): ReadonlyMap<string, number> {
  if (sealed === undefined || sealed.length === 0) return tools;
  const bounds = sealed.map(({ tool, limit: most }) => [tool, Math.min(most, tools.get(tool) ?? most)] as const);
  return new Map([...tools, ...bounds]);
}
