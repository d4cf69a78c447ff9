/** Configuration of a gateway: one JSON file, every member checked, unknown ones refused, frozen (docs/gateway.md). */

import { FormatError } from "../kernel/errors.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import { publisherName } from "../kernel/publisher-statement.ts";
import { issuerShape } from "../kernel/receipt/identity.ts";
import { originShape } from "../kernel/receipt/stream-open.ts";
import { DURABILITIES, type Durability, MODES, type Mode } from "../kernel/receipt/vocabulary.ts";
import { type Listen, listenShape } from "../kernel/service/listen.ts";
import {
  array,
  boolean,
  integer,
  literal,
  mapped,
  object,
  optional,
  readShape,
  record,
  type Shape,
  string,
} from "../kernel/shape.ts";
import { publicKeyShape } from "../kernel/signature/public-key.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../kernel/witness-policy.ts";
import { type ApprovalsConfig, approvalsShape } from "./approval/approvals-config.ts";
import { type ArtifactConfig, artifactConfigShape } from "./artifact/artifact-config.ts";
import type { ApprovalRule, Approver } from "./catalog/catalog-approval.ts";
import { approverName } from "./catalog/catalog-file.ts";
import { checkPublisherRules, type Publisher, type PublisherRules } from "./catalog/publisher.ts";
import { type EgressConfig, egressShape } from "./egress/egress-config.ts";
import { checkEnvoy, type EnvoyConfig, envoyShape } from "./envoy/envoy-config.ts";
import { type AgentAuth, agentAuthShape, checkAgentAuth } from "./identity/auth-config.ts";
import { type AgentListen, agentListenShape } from "./identity/tls-config.ts";
import { type KubernetesConfig, kubernetesShape } from "./kubernetes/admission-config.ts";
import { type CallLimitsConfig, callLimitsShape } from "./limits/call-limits.ts";
import { type QuarantineConfig, quarantineShape } from "./quarantine/quarantine.ts";
import { type UpstreamConfig, upstreamConfigShape } from "./upstream/upstream-config.ts";

/** The ledger that takes this gateway's receipts. */
export type LedgerTarget = {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** The log's identity line; declared by the stream's first receipt. */
  readonly origin: string;
  /** C2SP tlog-policy text: the log's keys and the quorum without which no receipt leaves the outbox. */
  readonly witness_policy: WitnessPolicy;
  readonly submit_token_file: string;
};

/** Whose statements are taken about the servers that name a publisher. Default: nobody's. */
type Publishers = { readonly publishers?: readonly Publisher[] };

/** A reviewed catalog. With approvers it must carry `threshold` of their signatures. */
export type CatalogSource = Publishers & {
  readonly file: string;
  readonly approvers?: readonly Approver[];
  readonly threshold?: number;
};

/** What the servers list at the first start, without a review. */
type PinnedSource = Publishers & { readonly pin: "first-use" };

/** An operator with a token of their own. */
export type OperatorConfig = {
  readonly name: string;
  readonly token_file: string;
  readonly roles?: readonly string[];
  /** Who they are as callers, as credentials say it: whoever asks for an approval does not decide it. */
  readonly principals?: readonly { readonly issuer: string; readonly name: string }[];
};

/** What the vault keeps. */
export type VaultConfig = {
  /** True: the messages of calls, each encrypted under the secret of its receipt. Default false. */
  readonly keep_payloads?: boolean;
  /** Secrets and messages of receipts that are older are erased. Default: never. */
  readonly erase_after_days?: number;
};

/** The configuration file of a gateway. `*_file` and `dir` are paths, read by the command line. */
export type GatewayConfig = {
  /** Default 127.0.0.1:4100. */
  readonly listen?: AgentListen;
  /** Default 127.0.0.1:4101. */
  readonly operator_listen?: Listen;
  readonly operator_token_file: string;
  /** Operators with tokens of their own; their names and roles are what policies' `@approvers` name. Default none. */
  readonly operators?: readonly OperatorConfig[];
  readonly data_dir: string;
  /** Default `advisory`. */
  readonly mode?: Mode;
  /** How the receipt keys are protected. Default and only value today: `software`. */
  readonly key_protection?: "software";
  /** At least one, unless only `countersign wrap` uses the configuration. */
  readonly servers: readonly UpstreamConfig[];
  /** Folder of the policy bundle. Without it a built-in rule allows what the catalog has; `enforcing` needs one. */
  readonly policy?: { readonly dir: string };
  /** Default: pin what the servers list at the first start; `enforcing` wants it said, or approvers. */
  readonly catalog?: PinnedSource | CatalogSource;
  /** A sealed policy artifact that binds the gateway. Default: none. */
  readonly artifact?: ArtifactConfig;
  /** Decides requests that an Envoy forwards itself. Default: none. */
  readonly envoy?: EnvoyConfig;
  /** An admission webhook for a Kubernetes cluster. Default: none. */
  readonly kubernetes?: KubernetesConfig;
  readonly ledger: LedgerTarget;
  readonly auth: AgentAuth;
  /** Longest silence of the stream. Default 60. */
  readonly heartbeat_seconds?: number;
  /** Longest life of a session. Default 3600. */
  readonly session_ttl_seconds?: number;
  /** Time between listings of the servers' definitions. Default 300. */
  readonly relist_seconds?: number;
  /** A call of a server whose last listing is older waits for another one. Default 900; 0: every call. */
  readonly max_pin_age_seconds?: number;
  readonly outbox?: {
    /** Receipts that may wait for their proof; above it nothing is dispatched. Default 100,000. */
    readonly max_receipts?: number;
  };
  /** Allows phantom execution of quarantined principals and sessions. Default: none. */
  readonly quarantine?: QuarantineConfig;
  /** Bounds of calls. Defaults: 600 a minute of a principal and 300 of a session; under way 256 of a principal, 1,024 in all. */
  readonly limits?: CallLimitsConfig;
  /** What is kept beside receipts, and for how long. Default: secrets, without messages, without an end. */
  readonly vault?: VaultConfig;
  /** How approvals are told to people. Default: nobody is told. */
  readonly approvals?: ApprovalsConfig;
  /** What the process may connect to beside servers, ledger and issuers. Default: nothing, refused in the process. */
  readonly egress?: EgressConfig;
  readonly inspection?: InspectionConfig;
  /** When a receipt counts as written. Default `durable`. */
  readonly durability?: Durability;
  /** True: a stop ends the stream with a receipt, and the next start begins a new one. Default false. */
  readonly close_stream?: boolean;
  /** Values of `Host` beside the loopback's. Default none. */
  readonly allowed_hosts?: readonly string[];
  /** Values of `Origin` that browsers may send. Default none. */
  readonly allowed_origins?: readonly string[];
};

/** How data is looked at. */
export type InspectionConfig = {
  /** Country whose national telephone numbers are looked for, ISO 3166. */
  readonly phone_region?: string;
  /** By `<server>/<tool>`: whether what it says during a call waits for its answer. Default `streaming`. */
  readonly streams?: Readonly<Record<string, "buffered" | "streaming">>;
};

/** Defaults of the optional members. */
export const GATEWAY_DEFAULTS = {
  host: "127.0.0.1",
  port: 4100,
  operatorPort: 4101,
  mode: "advisory",
  heartbeatSeconds: 60,
  sessionTtlSeconds: 3_600,
  relistSeconds: 300,
  maxPinAgeSeconds: 900,
  maxReceipts: 100_000,
  durability: "durable",
} as const;

const MAX_SERVERS = 128;
const MAX_SECONDS = 31_536_000;
const MAX_APPROVERS = 16;
/** An envelope carries at most four signatures. */
const MAX_THRESHOLD = 4;

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });
const hostText: Shape<string> = string({
  pattern: /^[^\s/]+$/u,
  maxLength: 255,
  description: "a host name or address",
});

const ledgerShape: Shape<LedgerTarget> = object<LedgerTarget>({
  url: mapped(string({ maxLength: 2048, description: "a URL" }), checkLedgerUrl),
  origin: originShape,
  witness_policy: mapped(
    string({ maxLength: 1_048_576, description: "a witness policy (C2SP tlog-policy)" }),
    parseWitnessPolicy,
  ),
  submit_token_file: path,
});

const catalogShape: Shape<NonNullable<GatewayConfig["catalog"]>> = {
  read: (value, at) => {
    const isPin = typeof value === "object" && value !== null && "pin" in value;
    return isPin ? pinShape.read(value, at) : catalogFileShape.read(value, at);
  },
};
const publishersShape: Shape<readonly Publisher[]> = array(
  object<Publisher>({ name: publisherName, key: publicKeyShape }),
  { min: 1, max: MAX_SERVERS },
);
const pinShape: Shape<PinnedSource> = object<PinnedSource>({
  pin: literal("first-use"),
  publishers: optional(publishersShape),
});
const catalogFileShape: Shape<CatalogSource> = object<CatalogSource>({
  file: path,
  approvers: optional(
    array(object<Approver>({ name: approverName, key: publicKeyShape }), { min: 1, max: MAX_APPROVERS }),
  ),
  threshold: optional(integer({ min: 1, max: MAX_THRESHOLD })),
  publishers: optional(publishersShape),
});

const operatorShape: Shape<OperatorConfig> = object<OperatorConfig>({
  name: string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u, maxLength: 64, description: "an operator's name" }),
  token_file: path,
  roles: optional(array(string({ pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/u, maxLength: 64 }), { max: 32 })),
  principals: optional(
    array(
      object<{ readonly issuer: string; readonly name: string }>({
        issuer: issuerShape,
        name: string({ maxLength: 1_024, description: "a name" }),
      }),
      { max: 32 },
    ),
  ),
});

const shape: Shape<GatewayConfig> = object<GatewayConfig>({
  listen: optional(agentListenShape),
  operator_listen: optional(listenShape),
  operator_token_file: path,
  operators: optional(array(operatorShape, { max: 256 })),
  data_dir: path,
  mode: optional(literal(...MODES)),
  key_protection: optional(literal("software")),
  servers: array(upstreamConfigShape, { max: MAX_SERVERS }),
  policy: optional(object<{ readonly dir: string }>({ dir: path })),
  catalog: optional(catalogShape),
  artifact: optional(artifactConfigShape),
  envoy: optional(envoyShape),
  kubernetes: optional(kubernetesShape),
  ledger: ledgerShape,
  auth: agentAuthShape,
  heartbeat_seconds: optional(integer({ min: 1, max: MAX_SECONDS })),
  session_ttl_seconds: optional(integer({ min: 1, max: MAX_SECONDS })),
  relist_seconds: optional(integer({ min: 1, max: MAX_SECONDS })),
  max_pin_age_seconds: optional(integer({ min: 0, max: MAX_SECONDS })),
  outbox: optional(
    object<NonNullable<GatewayConfig["outbox"]>>({ max_receipts: optional(integer({ min: 256, max: 10_000_000 })) }),
  ),
  quarantine: optional(quarantineShape),
  approvals: optional(approvalsShape),
  egress: optional(egressShape),
  limits: optional(callLimitsShape),
  vault: optional(
    object<VaultConfig>({
      keep_payloads: optional(boolean()),
      erase_after_days: optional(integer({ min: 1, max: 36_500 })),
    }),
  ),
  inspection: optional(
    object<InspectionConfig>({
      phone_region: optional(
        string({ pattern: /^[A-Z]{2}$/u, maxLength: 2, description: "a country code of two letters" }),
      ),
      streams: optional(
        record(literal("buffered", "streaming"), { max: 10_000, key: /^[a-z0-9][a-z0-9-]{0,23}\/.{1,128}$/u }),
      ),
    }),
  ),
  durability: optional(literal(...DURABILITIES)),
  close_stream: optional(boolean()),
  allowed_hosts: optional(array(hostText, { max: 64 })),
  allowed_origins: optional(array(string({ maxLength: 255 }), { max: 64 })),
});

/**
 * Reads the configuration of a gateway; the result is frozen.
 *
 * @throws {FormatError} ERR_SHAPE naming the member; ERR_CONFIG if members contradict each other
 * @throws {CheckError} ERR_KEY_WEAK for a key of the witness policy
 */
export function parseGatewayConfig(value: JsonValue): GatewayConfig {
  const config = readShape(shape, value, "config");
  checkServers(config);
  checkLedger(config.ledger);
  checkOperators(config);
  checkCatalog(config);
  checkPublisherRules(publisherRules(config));
  checkAgentAuth(config.listen, config.auth);
  checkEnvoy(config.envoy);
  if (config.mode === "enforcing" && config.policy === undefined) {
    throw contradiction("config.policy: enforcing mode needs a policy bundle; set policy.dir");
  }
  if (config.artifact !== undefined && config.policy === undefined) {
    throw contradiction("config.artifact: a sealed artifact names a policy bundle; set policy.dir");
  }
  if (config.artifact === undefined && config.auth.tokens.some(({ workflow }) => workflow !== undefined)) {
    throw contradiction("config.auth.tokens: the scope of a workflow is sealed by an artifact; set artifact");
  }
  if (
    config.artifact === undefined &&
    config.auth.workflows !== undefined &&
    config.auth.workflows.scopes === undefined
  ) {
    throw contradiction(
      "config.auth.workflows: the scopes of workflows are sealed by an artifact, or declared in scopes",
    );
  }
  const { port } = config.listen ?? {};
  if (port !== undefined && port !== 0 && port === config.operator_listen?.port) {
    throw contradiction("config.operator_listen: want another port than config.listen");
  }
  return deepFreeze(config);
}

function checkServers({ servers }: GatewayConfig): void {
  const ids = servers.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw contradiction(`config.servers: the id ${twice} stands twice`);
}

/** What enforcing mode refuses rests on the catalog, so somebody must have approved it, or have said that nobody did. */
function checkCatalog(config: GatewayConfig): void {
  const { catalog, mode } = config;
  const rule = approvalRule(config);
  if (mode === "enforcing" && rule === undefined && (catalog === undefined || "file" in catalog)) {
    throw contradiction(
      'config.catalog: enforcing mode needs approvers and a threshold, or the explicit {"pin": "first-use"}',
    );
  }
  if (catalog === undefined || "pin" in catalog) return;
  const { approvers = [], threshold } = catalog;
  if ((threshold === undefined) !== (approvers.length === 0)) {
    throw contradiction("config.catalog: want approvers and threshold together");
  }
  if (threshold !== undefined && threshold > approvers.length) {
    throw contradiction("config.catalog.threshold: want no more than there are approvers");
  }
  const [names, kids] = [approvers.map(({ name }) => name), approvers.map(({ key }) => key.kid)];
  if (new Set(names).size < names.length || new Set(kids).size < kids.length) {
    throw contradiction("config.catalog.approvers: want distinct names and distinct keys");
  }
}

/** Who publishes what, as the configuration says it. */
export function publisherRules({ catalog, servers }: Pick<GatewayConfig, "catalog" | "servers">): PublisherRules {
  const rules = servers.map((server) => ({
    id: server.id,
    ...(server.publisher === undefined ? {} : { publisher: server.publisher }),
    spki: (server.transport === "http" ? server.tls?.spki : undefined) ?? [],
  }));
  return { publishers: catalog?.publishers ?? [], servers: rules };
}

/** Whose signatures approve the catalog; undefined if it is approved without. */
export function approvalRule({ catalog }: Pick<GatewayConfig, "catalog">): ApprovalRule | undefined {
  if (catalog === undefined || "pin" in catalog) return undefined;
  const { approvers, threshold } = catalog;
  return approvers === undefined || threshold === undefined ? undefined : { approvers, threshold };
}

/** Two people under one name could not be told apart in receipts; `local` is whoever has `operator_token_file`. */
function checkOperators({ operators = [] }: GatewayConfig): void {
  const names = ["local", ...operators.map(({ name }) => name)];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw contradiction(`config.operators: the name ${twice} stands twice, or is "local"`);
}

/** A policy for another log would never let a receipt go. */
function checkLedger({ origin, witness_policy: policy }: LedgerTarget): void {
  if (policy.logs.some(({ key }) => key.name === origin)) return;
  throw contradiction(`config.ledger.witness_policy: want a log line for the origin ${origin}`);
}

function checkLedgerUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isWeb || url.username !== "" || url.password !== "" || text.endsWith("/")) {
    throw new FormatError("ERR_SHAPE", "want an http or https URL without user info and without a slash at the end");
  }
  return text;
}

function contradiction(message: string): FormatError {
  return new FormatError("ERR_CONFIG", message);
}

/** Freezes plain data; byte arrays cannot be frozen and stay as they are. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
