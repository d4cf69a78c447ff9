/**
 * The seam between the wire (edge, upstream, sessions) and the decision (catalog, policy, receipts). The wire hands over
 * what it saw; the pipeline says what to do and keeps the receipts. Neither knows how the other works.
 */

import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { Accounting, Label } from "../../kernel/receipt/fields.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type {
  Binding,
  DefinitionState,
  Effect,
  Era,
  IdentityOutcome,
  Mode,
  Provenance,
  Revision,
  SealReason,
  SessionSource,
  SessionTrust,
  Status,
  Step,
  Transport,
  UpstreamAuth,
} from "../../kernel/receipt/vocabulary.ts";
import type { LeftEntry } from "../receipts/left-tasks.ts";
import type { StreamWatch } from "./stream-watch.ts";

/** What a principal is, for policy: a person, a program with credentials of its own, whoever started `wrap`, a workload. */
export type CallerKind = "user" | "agent" | "local-user" | "workload";

/** Somebody whom a credential names. */
export interface Party {
  readonly issuer: string;
  readonly name: string;
}

/** A workflow that a verified token names, and the digest of what its issuer signed about it. */
export interface WorkflowClaim {
  readonly id: string;
  readonly scope: string;
}

/** What a checked credential says beside whom it stands for. Never anything that the caller says of itself. */
export interface CallerFacts {
  readonly kind: CallerKind;
  /** The OAuth client that the token was issued to. */
  readonly clientId?: string;
  readonly groups: readonly string[];
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** When the credential ends; every request carries one, and it is checked again each time. */
  readonly expiresAtMs?: number;
  /** The session claim: the source of a session of level 2. */
  readonly session?: string;
  readonly workflow?: WorkflowClaim;
  /** Who acts for the caller, the nearest first (RFC 8693 `act`, else the client); empty if the caller acts itself. */
  readonly actors: readonly Party[];
  /** On whose behalf the actor acts; undefined if nobody's but the caller's own. */
  readonly subject?: Party;
  /** What the credential was bound to when it was checked. */
  readonly binding: Binding;
}

/** Who calls, as authenticated. The name never enters a receipt as text. */
export interface Caller extends Party {
  /** `issuer`: `local` for local users and configured tokens, `x509`, `spiffe://<trust domain>`, else the token's issuer. */
  readonly provenance: Provenance;
  readonly outcome: IdentityOutcome;
  /** Undefined for configured tokens and local users, which have a name and nothing else. */
  readonly facts?: CallerFacts;
}

/** What the session is resolved from. `key` is secret-ish: it is hashed under a gateway key before it is recorded. */
export interface SessionKey {
  readonly key: string;
  readonly source: SessionSource;
  readonly trust: SessionTrust;
}

/** The agent's leg, as far as it is known at this step. `method` and `name` are the caller's text. */
export interface WireFacts {
  readonly transport: Transport;
  readonly era?: Era;
  readonly revision?: Revision;
  readonly method?: string;
  /** The name, URI or task id that the request names, as the agent wrote it. */
  readonly name?: string;
  /** The JSON-RPC id, type kept; undefined for notifications and for documents that cannot be trusted. */
  readonly id?: string | number | null;
  /** Id of the trace that the request says it is part of, null if it names none; undefined if nobody looked. */
  readonly trace?: string | null;
}

/** The server's leg. */
export interface UpstreamFacts {
  readonly transport: Transport;
  readonly era: Era;
  readonly revision?: Revision;
  /** Undefined if the gateway does not carry the call itself. */
  readonly auth?: UpstreamAuth;
}

/** What kind of thing a call names at its server. */
export type TargetKind =
  | "tool"
  | "prompt"
  | "resource"
  | "completion"
  | "subscribe"
  | "task"
  | InputKind
  /** A list of what is offered; a method that MCP does not define. Their name is the method. */
  | "list"
  | "extension"
  | "other";

/** What a server asks of an agent: a completion of its model, an answer of its user, its roots. */
export type InputKind = "sample" | "elicit" | "roots";

/** What belongs to a call that was decided, and lists of what may be called: no credential of a call is demanded of them. */
export const NO_CALLS: ReadonlySet<TargetKind> = new Set(["sample", "elicit", "roots", "task", "list"]);

/** Place of a call among the rounds of one request, if it is not the first. */
export interface CallRound {
  /** From 1. */
  readonly index: number;
  /** Number of the decision receipt of round 0. */
  readonly firstSeq: number;
}

/** One request that passed scan, classification, session and routing. */
export interface InboundCall {
  readonly wire: WireFacts;
  readonly caller: Caller;
  readonly session: SessionKey;
  readonly serverId: string;
  /** Path of the mount that the agent called; undefined if it called none. */
  readonly mount?: string;
  readonly target: { readonly kind: TargetKind /** Name or URI at the server. */; readonly name: string };
  /** The request's params, strictly scanned. */
  readonly params: JsonObject;
  /** The message as received, and as it will be sent upstream if it is forwarded. */
  readonly received: Uint8Array;
  readonly toSend: Uint8Array;
  readonly upstream: UpstreamFacts;
  /** Ids of the extensions that the server declares, for a call of one of their methods. */
  readonly extensions?: readonly string[];
  /** Set if nothing is sent to the server for this call. */
  readonly isAnsweredHere?: true;
  /** Set if the agent asked for nothing: the gateway decides by itself, and that is not counted as a call of the agent's. */
  readonly isUnasked?: true;
  /** Absent for the first round, which most calls only have. A request about a task is round 1 of the call that made it. */
  readonly round?: CallRound;
  /** Set if the agent's host takes the address of an approval's page by URL-mode elicitation. */
  readonly takesPage?: true;
  /** The approval that the agent waits for, by a state that was sealed for this call. */
  readonly approval?: AwaitedApproval;
  /** The tool whose call made the task that this request is about; the target is then the task. */
  readonly taskTool?: string;
}

/** The tool that a call is made to, or that made the task which it is about. */
export function toolBehind({ target, taskTool }: Pick<InboundCall, "target" | "taskTool">): string | undefined {
  return target.kind === "tool" ? target.name : taskTool;
}

/** An approval that a call waits for. */
export interface AwaitedApproval {
  readonly id: string;
  /** Number of the decision that told the agent of it. */
  readonly seq: number;
}

/** An approval that the agent's host is to be told of by its page. */
export interface OfferedApproval {
  readonly id: string;
  /** The gateway's own page. */
  readonly url: string;
  readonly expiresMs: number;
  /** For a person; nothing of the call but names of the catalog. */
  readonly message: string;
}

/** Position of a receipt: what the agent is told, `<stream>/<seq>`. */
export interface ReceiptRef {
  readonly stream: string;
  readonly seq: number;
}

/** Why a call is refused, in words for the agent and codes for programs. */
export interface CallRefusal {
  /** JSON-RPC code of the error table, for example -31001. */
  readonly rpcCode: number;
  readonly reason: ReasonCode;
  /** Ids of the determining policies. */
  readonly policies: readonly string[];
  /** The policies' `@reason` texts, or one sentence of ours; never anything of the call. */
  readonly message: string;
  /** More members of the error's `data`, for example `limit` and `retryAfterMs`. */
  readonly data?: JsonObject;
  /** Set if the call waits for an approval, and the agent's host can be asked to open its page. */
  readonly offer?: OfferedApproval;
}

/** A call of the run before: for the caller and session that ask now. */
export interface WokenCall {
  readonly call: InboundCall;
  readonly labels: readonly Label[];
  readonly createdMs: number;
}

/** Handed back to `finish`; opaque to the wire. */
export interface DecisionTicket {
  readonly callId: string;
  readonly receipt: ReceiptRef;
}

/** An answer that no server gave. */
export interface PhantomAnswer {
  /** The result; on a modern leg the wire adds `resultType`. */
  readonly result: JsonObject;
  /** Resolves when a real answer could be there. */
  readonly wait: () => Promise<void>;
}

/** What was decided; its receipt is durable. */
export type Decided =
  | {
      readonly action: "forward";
      readonly receipt: ReceiptRef;
      readonly ticket: DecisionTicket;
      readonly wouldDeny: boolean;
      /** What goes to the server: the call's own bytes, or what an obligation made of them. */
      readonly toSend: Uint8Array;
    }
  | {
      /** Nothing is sent; the agent is answered as if something had been. */
      readonly action: "phantom";
      readonly receipt: ReceiptRef;
      readonly ticket: DecisionTicket;
      readonly answer: PhantomAnswer;
    }
  | {
      readonly action: "refuse";
      /** Undefined if an aggregate receipt counts the refusal. */
      readonly receipt: ReceiptRef | undefined;
      readonly refusal: CallRefusal;
    };

/** How a forwarded call ended. */
export interface CallOutcome {
  readonly status: Status;
  readonly effect: Effect;
  /** JSON-RPC error code that the agent is answered with, if it is. */
  readonly rpcCode?: number;
  /** Response bytes as received from the server, and as returned to the agent; absent if there are none. */
  readonly received?: Uint8Array;
  readonly returned?: Uint8Array;
  readonly upstreamUs: number;
  /** Bytes of images, audio and blobs. */
  readonly uninspectedBytes: number;
  /** Why nobody here saw the answer, which went to the agent another way; then there are no bytes. */
  readonly unseen?: ReasonCode;
  /** Why the agent gets nothing of the answer; then there are no `returned` bytes. */
  readonly refusal?: CallRefusal;
  /** Set if the stream was cut after the agent had got parts of it; then `returned` is the statement of what it got. */
  readonly isPartlyGiven?: true;
  /** Labels that the answer brings beside those of its own call: of the call whose result it carries. */
  readonly labels?: readonly Label[];
}

/** A request refused before policy: by transport, authentication, scan, classification, session, routing or limits. */
export interface Refusal {
  readonly step: Step;
  readonly reason: ReasonCode;
  readonly wire: WireFacts;
  readonly caller?: Caller;
  /** Whom a credential names that was refused; never the principal of the receipt. */
  readonly claimed?: Caller;
  readonly session?: SessionKey;
  readonly serverId?: string;
  readonly received?: Uint8Array;
  /** The counter that is full, if it was refused for one. */
  readonly accounting?: Accounting;
}

/** The decision side, as the wire calls it. Every promise resolves only when its receipt is durable. */
export interface Pipeline {
  readonly mode: Mode;
  /** @throws {StoreError} ERR_STREAM_FAILED, ERR_OUTBOX_FULL: no receipt could be kept, so nothing may be sent (any mode) */
  readonly decide: (call: InboundCall) => Promise<Decided>;
  /**
   * @returns the outcome that was recorded: its `returned` bytes, and no others, go to the agent, or its `refusal`
   * @throws {StoreError} ERR_STREAM_FAILED, and whatever a stage failed with: the answer must be withheld
   */
  readonly finish: (ticket: DecisionTicket, outcome: CallOutcome) => Promise<CallOutcome>;
  /**
   * Lets go of a call that was decided and has no outcome: nobody will finish it any more. It is recorded as one whose end
   * nobody knows, and its places are free again.
   *
   * @returns undefined if the call has its outcome: nothing is left to do
   * @throws {StoreError} ERR_STREAM_FAILED
   */
  readonly abandon: (ticket: DecisionTicket) => Promise<void> | undefined;
  /**
   * The end of the task that a call made (its outcome was `task_created`): goes through the stages and the policy of the
   * call's own answer, and is recorded as the call's second outcome. A result that is fetched again goes through them
   * again, and has no receipt here.
   *
   * @returns as `finish`, with the labels that the result brings
   * @throws as `finish`
   */
  readonly finishTask: (ticket: DecisionTicket, outcome: CallOutcome) => Promise<CallOutcome>;
  /** Lets go of a task: one that has not ended is recorded as `unknown`. @throws {StoreError} ERR_STREAM_FAILED */
  readonly dropTask: (ticket: DecisionTicket) => Promise<void>;
  /** Keeps an open task for the next run; false if none outlasts this one. What becomes of the file shows at the next start. */
  readonly keepTask?: (ticket: DecisionTicket, entry: LeftEntry) => boolean;
  /**
   * Takes up the call of a task of the run before, since its agent asks about it.
   *
   * @param ticket  of that call
   * @param asking  of the request about the task, which is decided and in flight
   */
  readonly wakeTask?: (ticket: DecisionTicket, woken: WokenCall, asking: DecisionTicket) => void;
  /**
   * The agent is about to be given something that the server says before it answers, or asks: what the answer brings into the
   * session comes with that, so a call that is decided meanwhile is decided on it.
   *
   * @returns undefined if it may be given at once; durable when the promise resolves
   * @throws by the promise, the system's error if it cannot be kept: nothing of the server's may be given then
   */
  readonly bringLabels: (ticket: DecisionTicket) => Promise<void> | undefined;
  /** Who looks at what the server says during a forwarded call; undefined if nobody does. */
  readonly watchStream: (ticket: DecisionTicket) => StreamWatch | undefined;
  /** False if what a server says outside of calls may not reach an agent. */
  readonly mayTell: (notification: Uint8Array) => boolean;
  readonly refuse: (refusal: Refusal) => Promise<ReceiptRef | undefined>;
  /** Seals the session of this caller and key, if it is open. */
  readonly sealSession: (caller: Caller, session: SessionKey, reason: SealReason) => Promise<void>;
  /** Seals the sessions of the principal with this keyed id; how many there were. */
  readonly sealPrincipal: (principal: string, reason: SealReason) => Promise<number>;
  /** Seals every open session; how many there were. */
  readonly sealAll: (reason: SealReason) => Promise<number>;
}

/** One list of definitions as a server sent it: raw JSON texts in the server's order. */
export interface ListedSurface {
  readonly serverInfo: JsonValue;
  readonly capabilities: JsonValue;
  readonly instructions?: string;
  readonly tools: readonly string[];
  readonly prompts: readonly string[];
  readonly resources: readonly string[];
  readonly resourceTemplates: readonly string[];
}

/** What identifies a server: what the catalog pins. */
export type ServerIdentity =
  | { readonly kind: "http"; readonly url: string }
  | {
      readonly kind: "stdio";
      readonly command: string;
      readonly args: readonly string[];
      /** `sha256:<hex>` of the resolved executable. */
      readonly executable: string;
    };

/** One definition as the catalog has it. */
export interface CatalogDefinition {
  readonly name: string;
  /** The approved definition, byte for byte as the server sent it when it was pinned. */
  readonly text: string;
  readonly state: DefinitionState;
  readonly model: string;
  readonly full: string;
}

/** The lists that agents are offered. */
export type ListKind = "tools" | "prompts" | "resources" | "resourceTemplates";

/** The catalog, as the wire reads it. */
export interface CatalogReader {
  readonly serverIds: readonly string[];
  /** Approved definitions that may be offered, in the server's order. */
  readonly definitions: (serverId: string, kind: ListKind) => readonly CatalogDefinition[];
  /** Approved `instructions` and capabilities of the server. */
  readonly instructions: (serverId: string) => string | undefined;
  readonly capabilities: (serverId: string) => JsonValue;
  readonly has: (serverId: string, kind: ListKind, name: string) => boolean;
  /** The whole catalog, if this is what one agent is offered of it. */
  readonly whole?: CatalogReader;
}
