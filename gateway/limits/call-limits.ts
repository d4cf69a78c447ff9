/** How many calls may be made and be under way: one object, from the configuration's `limits` and its defaults. */

import type { SealedLimits } from "../../kernel/policy-artifact.ts";
import { integer, object, optional, record, type Shape } from "../../kernel/shape.ts";
import type { EdgeLimits } from "../edge/edge-options.ts";

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

/** The configured limits where a sealed artifact has none that is lower. */
export function narrowedBy(limits: CallLimits, sealed: SealedLimits | undefined): CallLimits {
  if (sealed === undefined) return limits;
  const { calls_per_minute: rate = {}, calls_in_flight: inFlight = {} } = sealed;
  const lower = (one: number, other: number | undefined): number => Math.min(one, other ?? one);
  return {
    perMinute: {
      principal: lower(limits.perMinute.principal, rate.principal),
      session: lower(limits.perMinute.session, rate.session),
      tools: limits.perMinute.tools,
    },
    inFlight: {
      principal: lower(limits.inFlight.principal, inFlight.principal),
      session: limits.inFlight.session,
      total: lower(limits.inFlight.total, inFlight.total),
      tools: limits.inFlight.tools,
    },
    sessions: limits.sessions,
  };
}

/** What of the limits the edges hold, which refuse before anything is read of a call. */
export function edgeLimitsOf({ inFlight }: CallLimits): Pick<EdgeLimits, "maxInFlight" | "maxInFlightPerCaller"> {
  return { maxInFlight: inFlight.total, maxInFlightPerCaller: inFlight.principal };
}
