/**
 * The capture-scope statement: which paths this gateway records and which it cannot. Its digest, over the canonical form,
 * stands in every decision receipt; the document itself is served to operators and kept in the data folder.
 */

import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { digestShape, serverIdShape } from "../../kernel/receipt/fields.ts";
import { type KeyProtection, TRANSPORTS, type Transport } from "../../kernel/receipt/vocabulary.ts";
import { array, json, literal, object, readShape, type Shape } from "../../kernel/shape.ts";

/** A server of a gateway, by the digest of its identity. */
export interface ScopedServer {
  readonly id: string;
  readonly transport: Transport;
  readonly identity: string;
}

/** What the statement is made from. */
export interface CaptureScopeFacts {
  /** How agents reach the gateway. */
  readonly agents: Transport;
  readonly servers: readonly ScopedServer[];
  readonly keyProtection: KeyProtection;
  /** True if calls are decided that somebody else carries. */
  readonly decidesForOthers: boolean;
  /** What the gateway's own process may connect to, and what holds it to that. */
  readonly egress: JsonObject;
}

/** Paths that have receipts, each with what holds for it. */
const COVERED = [
  {
    path: "agent-request",
    statement: "Every request that reaches this endpoint is decided, and has a receipt of its own or in a count.",
  },
  {
    path: "server-request",
    statement: "Nothing is sent to a server below on behalf of an agent before its decision receipt is durable.",
  },
  { path: "server-answer", statement: "No answer of a server goes back before its outcome receipt is durable." },
  { path: "tool-surface", statement: "Differences between the approved and the listed definitions have receipts." },
] as const;

/** Paths that have none. */
const EXCLUDED = [
  { path: "around-the-gateway", statement: "Traffic between agents and servers that does not pass this endpoint." },
  { path: "behind-a-server", statement: "What a server does, calls or stores on its own." },
  { path: "inside-the-agent", statement: "What a model or host does with an answer, and tools built into the host." },
  { path: "telemetry", statement: "Telemetry and logs that agents, hosts or servers send elsewhere." },
  {
    path: "unasked-server-messages",
    statement: "Log, progress and change notifications of servers: passed on without receipts.",
  },
] as const;

/** Holds beside the others where an Envoy asks for decisions and sends the calls itself. */
const CARRIED_BY_ENVOY = {
  path: "calls-that-envoy-carries",
  statement:
    "Calls that an Envoy asks about are decided with a receipt before they are sent; their answers, handshakes and " +
    "streams do not pass the gateway, and their outcome receipts say that the effect is unknown.",
} as const;

/** The statement. Servers are sorted by id. */
export function captureScope({
  agents,
  servers,
  keyProtection,
  egress,
  decidesForOthers,
}: CaptureScopeFacts): JsonObject {
  const excluded = decidesForOthers ? [...EXCLUDED, CARRIED_BY_ENVOY] : EXCLUDED;
  return {
    kind: "capture-scope",
    v: 1,
    agents,
    key_protection: keyProtection,
    egress,
    servers: [...servers]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, transport, identity }) => ({ id, transport, identity })),
    covered: COVERED.map((item) => ({ ...item })),
    excluded: excluded.map((item) => ({ ...item })),
  };
}

type Statement = Readonly<Record<"agents" | "key_protection" | "egress" | "covered" | "excluded", JsonValue>> & {
  readonly kind: "capture-scope";
  readonly v: 1;
  readonly servers: readonly ScopedServer[];
};

const statementShape: Shape<Statement> = object<Statement>({
  kind: literal("capture-scope"),
  v: literal(1),
  agents: json(),
  key_protection: json(),
  egress: json(),
  servers: array(
    object<ScopedServer>({ id: serverIdShape, transport: literal(...TRANSPORTS), identity: digestShape }),
    { max: 1024 },
  ),
  covered: json(),
  excluded: json(),
});

/** The servers that a statement names. @throws {FormatError} ERR_SHAPE */
export function scopedServers(statement: JsonValue): readonly ScopedServer[] {
  return readShape(statementShape, statement, "capture scope").servers;
}
