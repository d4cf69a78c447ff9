/** The parts of a receipt that describe the call: wire facts, server, upstream leg, names. No text of the caller enters. */

import { commitBytes } from "../../kernel/commitment.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { Constants } from "../../kernel/json/constant.ts";
import { ABSENT, notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import type { CalledName, JsonRpcId, Server, UpstreamLeg, Wire } from "../../kernel/receipt/target.ts";
import {
  type Era,
  METHODS,
  type Method,
  type Revision,
  type ServerProvenance,
} from "../../kernel/receipt/vocabulary.ts";
import type { UpstreamFacts, WireFacts } from "./call.ts";
import { commitText } from "./commitments.ts";
import type { KeyedNames } from "./keyed-names.ts";

/** Names that a receipt may carry as text (kernel/receipt/target.ts); others appear as commitments. */
const PLAIN_NAME = /^[A-Za-z0-9_./-]{1,128}$/u;

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);

/**
 * Wire facts of a request.
 *
 * @param catalogName  the name as the approved catalog has it; any other name appears as a commitment only
 */
export function wireOf(
  secret: Uint8Array,
  names: Pick<KeyedNames, "correlation">,
  facts: WireFacts,
  catalogName: string | undefined,
): Wire {
  const { transport, era, revision, method, name, id } = facts;
  return {
    transport,
    era: era === undefined ? notEstablished("field.not-reached") : eras.of(era, () => present(era)),
    revision: revisionOf(revision),
    mcp_method: methodOf(method),
    mcp_name: nameOf(secret, name, catalogName),
    jsonrpc_id: id === undefined ? ABSENT : present(rpcIdOf(secret, id)),
    correlation: correlationOf(names, facts.trace),
  };
}

/** True if a receipt may carry the name as text, once an operator approved it. */
export function isPlainName(name: string): boolean {
  return PLAIN_NAME.test(name);
}

/**
 * The server and its identity, for the catalog's servers.
 *
 * @param provenance  what is known of its publisher
 */
export function serverOf(
  id: string,
  identity: string | undefined,
  provenance: ServerProvenance = "unchecked",
): Present<Server> {
  return servers.of(`${id} ${identity} ${provenance}`, () =>
    present({
      id,
      identity: identity === undefined ? notEstablished("field.not-collected") : present(identity),
      provenance,
      egress: notEstablished("attestation.no-device"),
    }),
  );
}

/** The server's leg. */
export function upstreamOf({ transport, era, revision }: UpstreamFacts): Present<UpstreamLeg> {
  return legs.of(`${transport} ${era} ${revision}`, () => present({ transport, era, revision: revisionOf(revision) }));
}

function revisionOf(revision: Revision | undefined): Observed<Revision> {
  return revision === undefined ? notEstablished("field.not-reached") : revisions.of(revision, () => present(revision));
}

type Present<T> = { readonly state: "present"; readonly value: T };

/** What is the same in very many receipts. */
const eras = new Constants<Present<Era>>();
const revisions = new Constants<Present<Revision>>();
const methods = new Constants<Present<Method>>();
const names = new Constants<Present<CalledName>>();
const servers = new Constants<Present<Server>>();
const legs = new Constants<Present<UpstreamLeg>>();

function correlationOf(names: Pick<KeyedNames, "correlation">, trace: WireFacts["trace"]): Wire["correlation"] {
  if (trace === undefined) return notEstablished("field.not-reached");
  return trace === null ? ABSENT : present(names.correlation(`trace ${trace}`));
}

function methodOf(method: string | undefined): Observed<Method> {
  if (method === undefined) return notEstablished("field.not-reached");
  return isKnown(method) ? methods.of(method, () => present(method)) : notEstablished("mcp.method-unknown");
}

function isKnown(method: string): method is Method {
  return KNOWN_METHODS.has(method);
}

function nameOf(secret: Uint8Array, name: string | undefined, catalogName: string | undefined): Observed<CalledName> {
  if (catalogName !== undefined && isPlainName(catalogName)) {
    return names.of(catalogName, () => present({ form: "name", name: catalogName }));
  }
  if (name === undefined) return ABSENT;
  return present({ form: "commitment", commitment: commitText(secret, "mcp_name", name) });
}

/** Type and keyed commitment of the id's canonical text, so that `1` and `"1"` stay apart. */
function rpcIdOf(secret: Uint8Array, id: string | number | null): JsonRpcId {
  const type = id === null ? "null" : typeof id === "string" ? "string" : "number";
  return { type, commitment: commitBytes(secret, "jsonrpc_id", canonicalBytes(id)) };
}
