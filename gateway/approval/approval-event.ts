/** What is told of an approval outside of the gateway: names of the catalog and of policies, and nothing of the call. */

import { formatTimestamp } from "../../kernel/time.ts";
import { GATEWAY_DEFAULTS, type GatewayConfig } from "../config.ts";
import { isPlainName } from "../pipeline/call-facts.ts";
import { isOpen } from "./approval-state.ts";
import type { Approval } from "./approval-store.ts";
import type { ApprovalEvent } from "./webhook.ts";

/** How long an event about something that has ended is worth telling. */
const ENDED_MS = 600_000;

/**
 * The event of an approval's present state. Arguments are not in it, nor URIs of resources: a name that is not one of a tool
 * is left out.
 */
export function eventOf(approval: Approval, page: string, nowMs: number): ApprovalEvent {
  const { id, state, server, tool, demands, binding, requestedMs, expiresMs, seq } = approval;
  return {
    id: `approval_${id}_${state}`,
    untilMs: isOpen(state) ? expiresMs : nowMs + ENDED_MS,
    body: {
      type: `approval.${state}`,
      timestamp: formatTimestamp(nowMs),
      data: {
        id,
        state,
        server,
        ...(isPlainName(tool) ? { tool } : {}),
        policies: demands.map(({ policy }) => policy),
        approvers: [...new Set(demands.flatMap(({ approvers }) => approvers))],
        binding,
        receipt_seq: seq,
        requested: formatTimestamp(requestedMs),
        expires: formatTimestamp(expiresMs),
        url: `${page}${id}`,
      },
    },
  };
}

/** The page where operators decide, up to the approval's id. It gives nothing without an operator's token. */
export function pageOf({ approvals, operator_listen: listen = {} }: GatewayConfig): string {
  const { host = GATEWAY_DEFAULTS.host, port = GATEWAY_DEFAULTS.operatorPort } = listen;
  const own = port === 0 ? "" : `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `${approvals?.page_url ?? own}/#`;
}

/** Hosts open pages of the web; without TLS only on this machine. */
export function isPage(page: string): boolean {
  const url = URL.canParse(page) ? new URL(page) : undefined;
  return url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.has(url.hostname));
}

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
