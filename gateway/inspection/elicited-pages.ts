/**
 * Pages to which servers send users (URL-mode elicitation): `https`, without user info, at a host that the configuration names
 * for the server, and at no other. A name that only looks like one of those is another name. A question that asks for such a page
 * is denied, and so is the error -32042 that names one.
 */

import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import type { CallOutcome, InboundCall } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import { type EndedCall, type EndedStep, type RequestStage, type RespondStage, sayNothing } from "../pipeline/stage.ts";
import { RPC } from "../wire/rpc-error.ts";

/** Hosts of pages by server id, as URLs write them: `host`, or `host:port`. */
export type PageHosts = ReadonlyMap<string, readonly string[]>;

const DENIED: Denial = {
  step: "inspect",
  reason: "input.elicitation-host",
  rpcCode: RPC.blocked,
  message: "The server sends users to a page that it may not send them to.",
};

/** Makes both stages. */
export function elicitedPages(
  hosts: PageHosts,
  mode: () => Mode,
): { readonly request: RequestStage; readonly respond: RespondStage } {
  const allows = (serverId: string, url: JsonValue | undefined): boolean => isAllowed(hosts.get(serverId) ?? [], url);
  return {
    request: {
      name: "elicited-pages",
      begin: ({ target, params, serverId }) => {
        const isPage = target.kind === "elicit" && (params["mode"] === "url" || params["url"] !== undefined);
        return isPage && !allows(serverId, params["url"]) ? () => ({ denials: [DENIED] }) : sayNothing;
      },
    },
    respond: {
      name: "elicited-pages",
      settle: (ended) => settle(ended, mode(), (url) => allows(ended.call.serverId, url)),
    },
  };
}

function isAllowed(hosts: readonly string[], text: JsonValue | undefined): boolean {
  const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" || url.username !== "" || url.password !== "") return false;
  return hosts.includes(url.host);
}

/** What does not take questions takes no error that is one, in any mode. */
function settle({ call, outcome }: EndedCall, mode: Mode, allows: (url: JsonValue | undefined) => boolean): EndedStep {
  if (outcome.rpcCode !== RPC.urlElicitation || outcome.returned === undefined) return { outcome };
  if (!takesError(call)) return { outcome: blocked(outcome, "upstream.undeclared-input") };
  if (mode !== "enforcing" || pagesOf(outcome.returned).every(allows)) return { outcome };
  return { outcome: blocked(outcome, DENIED.reason) };
}

function takesError({ wire, takesPage }: InboundCall): boolean {
  return wire.era === "legacy" && takesPage === true;
}

/** The addresses of an error; one that is not there is not allowed. */
function pagesOf(answer: Uint8Array): readonly (JsonValue | undefined)[] {
  const message = parseJson(answer, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  const error = isJsonObject(message) ? message["error"] : undefined;
  const data = isJsonObject(error) ? error["data"] : undefined;
  const listed = isJsonObject(data) ? data["elicitations"] : undefined;
  const items: readonly JsonValue[] = Array.isArray(listed) ? listed : [null];
  return items.map((item) => (isJsonObject(item) ? item["url"] : undefined));
}

function blocked({ returned: _, ...outcome }: CallOutcome, reason: ReasonCode): CallOutcome {
  const refusal = { rpcCode: RPC.blocked, reason, policies: [], message: DENIED.message };
  return { ...outcome, status: "blocked", refusal };
}
