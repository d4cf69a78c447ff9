/** What is called: the wire facts of both legs, the server, the definition, and the catalog as the agent saw it. */

import { integer, literal, object, type Shape, string, tagged } from "../shape.ts";
import {
  type Commitment,
  commitmentShape,
  type Digest,
  digestShape,
  type Hex64,
  hex64Shape,
  type ServerId,
  serverIdShape,
} from "./fields.ts";
import { type Observed, observed } from "./observed.ts";
import {
  DEFINITION_STATES,
  type DefinitionState,
  ERAS,
  type Era,
  METHODS,
  type Method,
  REVISIONS,
  type Revision,
  SERVER_PROVENANCES,
  type ServerProvenance,
  TRANSPORTS,
  type Transport,
} from "./vocabulary.ts";

/** A name of the approved catalog as text; any other name, every URI and task id as a commitment. */
export type CalledName =
  | { readonly form: "name"; readonly name: string }
  | { readonly form: "commitment"; readonly commitment: Commitment };

/** JSON-RPC id: its JSON type and a keyed commitment to its JCS text (name `jsonrpc_id`), so `1` and `"1"` stay apart. */
export type JsonRpcId = { readonly type: "string" | "number" | "null"; readonly commitment: Hex64 };

/** The agent's leg. */
export type Wire = {
  readonly transport: Transport;
  readonly era: Observed<Era>;
  readonly revision: Observed<Revision>;
  /** `not_established` with `mcp.method-unknown` for a method outside the list. */
  readonly mcp_method: Observed<Method>;
  readonly mcp_name: Observed<CalledName>;
  readonly jsonrpc_id: Observed<JsonRpcId>;
  /** Keyed hash of the trace id, if the request had one. */
  readonly correlation: Observed<Hex64>;
};

/** The server's leg. */
export type UpstreamLeg = {
  readonly transport: Transport;
  readonly era: Era;
  readonly revision: Observed<Revision>;
};

/** The server, by its catalog id and by what identifies it: digest of its pinned identity (key, executable, measurement). */
export type Server = {
  readonly id: ServerId;
  readonly identity: Observed<Digest>;
  readonly provenance: ServerProvenance;
  /** Digest of the attested egress profile. */
  readonly egress: Observed<Digest>;
};

/** The definition of the tool, prompt or template at this call. */
export type Definition = {
  readonly state: DefinitionState;
  readonly model: Digest;
  readonly full: Digest;
  /** Digest of the pinned input schema, if it has one. */
  readonly input_schema: Observed<Digest>;
  /** Time since the definition was last compared with the server's, in milliseconds. */
  readonly pin_age_ms: number;
};

/** The catalog as the agent saw it. */
export type CatalogView = {
  /** Digest of the approved catalog file. */
  readonly digest: Digest;
  /** Surface digest of the called server. */
  readonly surface: Observed<Digest>;
  /** Digest of the definitions offered to this agent. */
  readonly seen: Observed<Digest>;
  /** How many definitions were withheld from it. */
  readonly withheld: number;
};

export const calledNameShape: Shape<CalledName> = tagged("form", {
  name: object<{ readonly form: "name"; readonly name: string }>({
    form: literal("name"),
    name: string({ pattern: /^[A-Za-z0-9_./-]{1,128}$/u, maxLength: 128 }),
  }),
  commitment: object<{ readonly form: "commitment"; readonly commitment: Commitment }>({
    form: literal("commitment"),
    commitment: commitmentShape,
  }),
});

export const wireShape: Shape<Wire> = object<Wire>({
  transport: literal(...TRANSPORTS),
  era: observed(literal(...ERAS)),
  revision: observed(literal(...REVISIONS)),
  mcp_method: observed(literal(...METHODS)),
  mcp_name: observed(calledNameShape),
  jsonrpc_id: observed(object<JsonRpcId>({ type: literal("string", "number", "null"), commitment: hex64Shape })),
  correlation: observed(hex64Shape),
});

export const upstreamLegShape: Shape<UpstreamLeg> = object<UpstreamLeg>({
  transport: literal(...TRANSPORTS),
  era: literal(...ERAS),
  revision: observed(literal(...REVISIONS)),
});

export const serverShape: Shape<Server> = object<Server>({
  id: serverIdShape,
  identity: observed(digestShape),
  provenance: literal(...SERVER_PROVENANCES),
  egress: observed(digestShape),
});

export const definitionShape: Shape<Definition> = object<Definition>({
  state: literal(...DEFINITION_STATES),
  model: digestShape,
  full: digestShape,
  input_schema: observed(digestShape),
  pin_age_ms: integer(),
});

export const catalogViewShape: Shape<CatalogView> = object<CatalogView>({
  digest: digestShape,
  surface: observed(digestShape),
  seen: observed(digestShape),
  withheld: integer(),
});
