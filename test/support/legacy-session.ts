/** An agent's session at a legacy server, whose side the test plays: what it says outside of calls, and what the agent is told. */

import { AgentLegs, type AgentLegsOptions } from "../../gateway/edge/agent-legs.ts";
import { PendingAsks } from "../../gateway/edge/pending-asks.ts";
import type { Caller, SessionKey } from "../../gateway/pipeline/call.ts";
import type { LegAgent, Upstream } from "../../gateway/upstream/upstream.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { makeFakeUpstream } from "./fake-upstream.ts";

/** The session, open at the server `s`. */
export interface LegacySession {
  /** Messages that the agent was told, as text, in order. */
  readonly told: readonly string[];
  /** The server says this, the text of a notification. */
  readonly hears: (notification: string) => void;
  readonly close: () => Promise<void>;
}

/** Opens one of this caller. */
export function openLegacySession(
  deps: Omit<AgentLegsOptions, "agent" | "capabilities" | "tell">,
  caller: Caller,
  session: SessionKey,
): LegacySession {
  const told: string[] = [];
  const asks = new PendingAsks(() => undefined);
  const legs = new AgentLegs({
    ...deps,
    agent: { caller, session, transport: "http", revision: "2025-11-25", capabilities: {}, asks },
    capabilities: "{}",
    tell: (message) => told.push(parseUtf8(message)) > 0,
  });
  let agent: LegAgent | undefined;
  legs.leg(
    playedServer((given) => {
      agent = given;
    }),
  );
  const hears = (text: string): void => {
    const message = readMessage(formatUtf8(text), "egress", 1_000_000);
    if (message.type !== "notification") throw new Error("no notification");
    agent?.onNotification(message, undefined);
  };
  return { told, hears, close: () => legs.close() };
}

/** The server `s`; `onLeg` is told whom it can speak to. */
function playedServer(onLeg: (agent: LegAgent) => void): Upstream {
  const upstream = makeFakeUpstream("s");
  return {
    ...upstream,
    openLeg: (agent) => {
      onLeg(agent);
      const { facts, nextId, request } = upstream;
      const nothing = { notify: async () => undefined, listen: () => undefined, close: async () => undefined };
      return { facts, nextId, request, ...nothing };
    },
  };
}
