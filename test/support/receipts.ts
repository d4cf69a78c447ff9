/**
 * One valid content of each kind of receipt, and streams of them that are numbered, linked and signed. Everything is made
 * from fixed seeds, so two calls give the same bytes.
 */

import { formatHex } from "../../kernel/hex.ts";
import { digestFile, policyDigest } from "../../kernel/policy-manifest.ts";
import type { StreamHeader } from "../../kernel/receipt/header.ts";
import type { DataFacts } from "../../kernel/receipt/inspection.ts";
import { ABSENT, notEstablished, type Observed, PENDING, present } from "../../kernel/receipt/observed.ts";
import { type ReceiptBody, type ReceiptKind, type SignedReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import type { Server, UpstreamLeg, Wire } from "../../kernel/receipt/target.ts";
import { type Alg, formatPublicKey } from "../../kernel/signature/public-key.ts";
import { createSigner, type EnvelopeSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { ORIGIN } from "./log-keys.ts";

/** The two keys of a stream. */
export interface GatewayKeys {
  readonly instance: EnvelopeSigner;
  readonly receipt: EnvelopeSigner;
}

/** What a receipt says besides its place in the stream. */
export type ContentOf<K extends ReceiptKind> = Omit<Extract<ReceiptBody, { readonly kind: K }>, keyof StreamHeader>;

/** The content of any kind. */
export type ReceiptContent = { readonly [K in ReceiptKind]: ContentOf<K> }[ReceiptKind];

/** The body of each kind, as `receiptBodies` gives them. */
export type ReceiptBodies = { readonly [K in ReceiptKind]: Extract<ReceiptBody, { readonly kind: K }> };

/** A stream and the way to make it longer. */
export interface MadeStream {
  readonly keys: GatewayKeys;
  /** The stream's id. */
  readonly stream: string;
  readonly receipts: readonly SignedReceipt[];
  /** The receipt that would follow; the stream itself stays as it is. */
  readonly next: (content: ReceiptContent) => SignedReceipt;
}

/** What `makeStream` can vary. */
export interface StreamOptions {
  /** Dispatched calls, a decision and an outcome each; default 2. */
  readonly calls?: number;
  /** Keep only the first so many receipts; default all: 6 + 2 × calls. */
  readonly count?: number;
  readonly keys?: GatewayKeys;
  /** Origin of the home log. */
  readonly log?: string;
  /** Milliseconds of the first receipt; each later one is a second younger. */
  readonly startMs?: number;
}

/** Milliseconds of the first receipt of a stream, unless the options say another. */
export const STREAM_START_MS = 1_700_000_000_000;

/** SHA-256-like digest whose bytes are all `value`. */
export const digestOf = (value: number): string => `sha256:${hex64(value)}`;

/** What a recorder is asked to append: the opening of a stream under these keys first, then heartbeats. */
export function openingThenHeartbeats(keys: GatewayKeys): (secret: Uint8Array, seq: number) => OpeningOrHeartbeat {
  const { "stream-open": opening, heartbeat } = receiptContents(keys);
  return (_secret, seq) => (seq === 0 ? opening : heartbeat);
}

type OpeningOrHeartbeat = ContentOf<"stream-open"> | ContentOf<"heartbeat">;

/** 64 hexadecimal digits whose bytes are all `value`. */
export const hex64 = (value: number): string => formatHex(new Uint8Array(32).fill(value));

/** Keys of a gateway, from one number. */
export function gatewayKeys(seed = 40, alg: Alg = "ed25519"): GatewayKeys {
  const signer = (value: number): EnvelopeSigner => {
    return createSigner(
      alg,
      new Uint8Array(SECRET_BYTES[alg]).map((_, i) => value + Math.floor(i / 32) * 100),
    );
  };
  return { instance: signer(seed), receipt: signer(seed + 1) };
}

/** One valid body of each kind: those of a stream of twelve receipts. */
export function receiptBodies(options: StreamOptions = {}): ReceiptBodies {
  const keys = options.keys ?? gatewayKeys();
  const place = placer(keys, options.startMs);
  const contents = { ...receiptContents(keys, options.log) };
  const previous = hex64(0xaa);
  const order: readonly ReceiptKind[] = [
    "stream-open",
    "policy-load",
    "catalog-load",
    "session-open",
    "decision",
    "outcome",
    "session-seal",
    "heartbeat",
    "refusals",
    "drift",
    "operator-action",
    "admission",
    "stream-close",
  ];
  const entries = order.map((kind, seq) => [kind, place(contents[kind], seq, seq === 0 ? undefined : previous)]);
  return Object.fromEntries(entries) as ReceiptBodies;
}

/**
 * A stream: open, policy, catalog, session-open, the calls, seal, close; every hash and number is the right one.
 *
 * @param options  how many calls, whose keys
 */
export function makeStream(options: StreamOptions = {}): MadeStream {
  const keys = options.keys ?? gatewayKeys();
  const place = placer(keys, options.startMs);
  const receipts: SignedReceipt[] = [];
  const next = (content: ReceiptContent): SignedReceipt => {
    const body = place(content, receipts.length, receipts.length === 0 ? undefined : hashAt(receipts, -1));
    return signReceipt(body, receipts.length === 0 ? [keys.instance, keys.receipt] : [keys.receipt]);
  };
  const add = (content: ReceiptContent): number => receipts.push(next(content)) - 1;
  const contents = receiptContents(keys, options.log);
  for (const kind of ["stream-open", "policy-load", "catalog-load", "session-open"] as const) add(contents[kind]);
  const calls = options.calls ?? 2;
  for (let call = 0; call < calls; call += 1) addCall(contents, receipts, add, call);
  const counts = { total: calls, allowed: calls, denied: 0, faulted: 0, open: 0 };
  add({ ...contents["session-seal"], calls: counts });
  add({ ...contents["stream-close"], receipts: receipts.length + 1 });
  receipts.length = Math.min(receipts.length, options.count ?? receipts.length);
  return { keys, stream: keys.instance.publicKey.kid, receipts, next };
}

function addCall(
  contents: ReturnType<typeof receiptContents>,
  receipts: readonly SignedReceipt[],
  add: (content: ReceiptContent) => number,
  call: number,
): void {
  const { decision, outcome } = contents;
  const id = call.toString(16).padStart(32, "0");
  const session = present({ ...SESSION, session_seq: call });
  const seq = add({ ...decision, call: { ...decision.call, id }, session });
  const ties = { ...outcome.call, id, decision_seq: seq, decision_hash: hashAt(receipts, seq) };
  add({ ...outcome, call: ties });
}

function hashAt(receipts: readonly SignedReceipt[], index: number): string {
  const receipt = receipts.at(index);
  if (receipt === undefined) throw new Error(`no receipt ${index}`);
  return formatHex(receipt.hash);
}

function placer(
  keys: GatewayKeys,
  startMs: number = STREAM_START_MS,
): (content: ReceiptContent, seq: number, prev: string | undefined) => ReceiptBody {
  return (content, seq, prev) => ({
    v: 1,
    stream: keys.instance.publicKey.kid,
    seq,
    time: formatTimestamp(startMs + seq * 1000),
    attestation: { state: "not_available", reason: "attestation.software" },
    ...(prev === undefined ? {} : { prev }),
    ...content,
  });
}

const SESSION = {
  id: "01234567-89ab-cdef-0123-456789abcdef",
  key: hex64(0x31),
  source: "mcp-session-id",
  trust: "gateway-minted",
} as const;
const PRINCIPAL = { issuer: "local", id: hex64(0x32) };
const POLICY_FILES = [{ path: "a.cedar", digest: digestFile("permit(principal, action, resource);") }];
const POLICY = { digest: policyDigest("1.0.0", POLICY_FILES), version: "1.0.0", artifact: ABSENT } as const;
const CATALOG = { digest: digestOf(0x33) };
const WIRE: Wire = {
  transport: "http",
  era: present("modern"),
  revision: present("2026-07-28"),
  mcp_method: present("tools/call"),
  mcp_name: present({ form: "name", name: "echo" }),
  jsonrpc_id: present({ type: "number", commitment: hex64(0x34) }),
  correlation: ABSENT,
};
const UPSTREAM: Observed<UpstreamLeg> = present({
  transport: "stdio",
  era: "legacy",
  revision: present("2025-11-25"),
});
const SERVER: Observed<Server> = present({
  id: "everything",
  identity: present(digestOf(0x35)),
  provenance: "unchecked",
  egress: notEstablished("attestation.no-device"),
});
const DATA_FACTS: DataFacts = {
  inspection: present({
    inspector: "1.0.0",
    findings: [{ rule: "pii.email", severity: "warn", pointer: "/params/arguments/message", count: 1 }],
    uninspected_bytes: 0,
  }),
  redactions: ABSENT,
  matches: present({ items: [], bounded: false }),
  taint: present({ before: [], after: ["contact-data"], sources: [{ label: "contact-data", seq: 3 }] }),
  edges: present([]),
};

/** One valid content of each kind; sequence numbers and hashes inside are those of the stream that `receiptBodies` gives. */
export function receiptContents(
  keys: GatewayKeys = gatewayKeys(),
  log: string = ORIGIN,
): { readonly [K in ReceiptKind]: ContentOf<K> } {
  return {
    "stream-open": openContent(keys, log),
    ...loadContents(),
    ...sessionContents(),
    decision: decisionContent(),
    outcome: outcomeContent(),
    heartbeat: { kind: "heartbeat", open_sessions: 1, open_calls: 0 },
    refusals: {
      kind: "refusals",
      count: 1000,
      principal: notEstablished("auth.missing"),
      step: "authenticate",
      reason: "auth.missing",
      from: formatTimestamp(STREAM_START_MS),
      to: formatTimestamp(STREAM_START_MS + 1000),
    },
    drift: driftContent(),
    "operator-action": {
      kind: "operator-action",
      action: "kill-switch-on",
      by: present({ issuer: "operator", id: hex64(0x38) }),
      evidence: present("local-user"),
      target: { type: "tool", server: "everything", name: { form: "name", name: "echo" } },
      reason: "operator.incident",
      cause: present(9),
    },
    admission: {
      kind: "admission",
      review: present({ scheme: "countersign/fields/v1", root: hex64(0x39) }),
      requester: present({ issuer: "kubernetes", id: hex64(0x41) }),
      operation: "create",
      resource: "pods",
      namespace: present(hex64(0x42)),
      role: present("agent"),
      artifact: present(digestOf(0x43)),
      images: present([digestOf(0x44), digestOf(0x45)]),
      code: present(digestOf(0x46)),
      allowed: true,
      reason: "admission.sealed",
    },
    "stream-close": { kind: "stream-close", reason: "shutdown", receipts: 13 },
  };
}

function openContent(keys: GatewayKeys, log: string): ContentOf<"stream-open"> {
  return {
    kind: "stream-open",
    log,
    instance_key: formatPublicKey(keys.instance.publicKey),
    receipt_key: formatPublicKey(keys.receipt.publicKey),
    key_protection: "software",
    heartbeat_seconds: 60,
    session_ttl_seconds: 3600,
    durability: "durable",
    boundary: digestOf(0x36),
    software: { name: "countersign", version: "0.1.0" },
  };
}

function loadContents(): { readonly [K in "policy-load" | "catalog-load"]: ContentOf<K> } {
  return {
    "policy-load": {
      kind: "policy-load",
      result: "loaded",
      reasons: [],
      policy: POLICY,
      mode: "enforcing",
      files: POLICY_FILES,
      previous: ABSENT,
    },
    "catalog-load": {
      kind: "catalog-load",
      result: "loaded",
      reasons: [],
      catalog: CATALOG,
      previous: ABSENT,
      servers: [
        {
          id: "everything",
          identity: present(digestOf(0x35)),
          surface: present(digestOf(0x37)),
          tools: 11,
          definition: "approved",
        },
      ],
      approvers: [PRINCIPAL],
    },
  };
}

function sessionContents(): { readonly [K in "session-open" | "session-seal"]: ContentOf<K> } {
  return {
    "session-open": {
      kind: "session-open",
      session: SESSION,
      principal: present(PRINCIPAL),
      workflow: ABSENT,
      taint: present([]),
    },
    "session-seal": {
      kind: "session-seal",
      session: { id: SESSION.id },
      reason: "ended",
      calls: { total: 1, allowed: 1, denied: 0, faulted: 0, open: 0 },
      first_seq: 3,
    },
  };
}

function decisionContent(): ContentOf<"decision"> {
  const identity = {
    ...PRINCIPAL,
    provenance: "connection-credential",
    outcome: "verified",
    binding: "connection",
  } as const;
  return {
    kind: "decision",
    ...DATA_FACTS,
    call: { id: "0".repeat(32), round: 0, first_round: ABSENT, retry_of: ABSENT },
    principal: present(PRINCIPAL),
    delegation: ABSENT,
    actor: present(identity),
    subject: ABSENT,
    session: present({ ...SESSION, session_seq: 0 }),
    workflow: ABSENT,
    data_subjects: present([hex64(0x38)]),
    policy: present(POLICY),
    boundary: present(digestOf(0x36)),
    catalog: present({
      ...CATALOG,
      surface: present(digestOf(0x37)),
      seen: present(digestOf(0x39)),
      withheld: 0,
    }),
    wire: WIRE,
    upstream: UPSTREAM,
    upstream_auth: present("none"),
    server: SERVER,
    definition: present({
      state: "approved",
      model: digestOf(0x3a),
      full: digestOf(0x3b),
      input_schema: present(digestOf(0x3c)),
      pin_age_ms: 1500,
    }),
    request_received: present({ scheme: "countersign/fields/v1", root: hex64(0x3d) }),
    request_sent: present({ scheme: "countersign/fields/v1", root: hex64(0x3e) }),
    ruling: {
      mode: "enforcing",
      action: "forward",
      judgement: "allow",
      would_deny: false,
      step: "policy",
      reasons: ["policy.permit"],
      policies: ["allow-echo"],
      erring: [],
      advisory: [],
      obligations: [{ policy: "allow-echo", kind: "taint", applied: true }],
      controls: ["SOC 2 CC6.1"],
      detail: ABSENT,
    },
    approval: ABSENT,
    outcome: PENDING,
    accounting: present({
      limit: "calls-per-minute-principal",
      charge: "reserved",
      budget: 60,
      consumed: 3,
      reserved: 1,
      remaining: 56,
    }),
    concurrent_with: [],
  };
}

function outcomeContent(): ContentOf<"outcome"> {
  return {
    kind: "outcome",
    ...DATA_FACTS,
    call: { id: "0".repeat(32), round: 0, decision_seq: 4, decision_hash: hex64(0xaa), resolves: ABSENT },
    wire: WIRE,
    upstream: UPSTREAM,
    server: SERVER,
    outcome: { status: "ok", effect: "done", rpc_code: ABSENT },
    respond: ABSENT,
    response_received: present({ scheme: "countersign/fields/v1", root: hex64(0x3f) }),
    response_returned: present({ scheme: "countersign/fields/v1", root: hex64(0x40) }),
    accounting: ABSENT,
    latency: present({ policy_us: 120, inspection_us: 80, upstream_us: 2400, total_us: 3000 }),
  };
}

function driftContent(): ContentOf<"drift"> {
  return {
    kind: "drift",
    server: "everything",
    trigger: "list-changed",
    mode: "enforcing",
    approved: digestOf(0x37),
    listed: present(digestOf(0x41)),
    items: [
      {
        subject: "tool",
        name: present({ form: "name", name: "echo" }),
        change: "changed",
        before: present(digestOf(0x3a)),
        after: present(digestOf(0x42)),
        members: ["description"],
        action: "quarantined",
      },
    ],
    more: 0,
    findings: [],
  };
}
