/**
 * Where the gateway's process may connect to, by its configuration: servers, the ledger, issuers of keys, and what `egress`
 * allows beside them. Everything else is refused.
 */

import { fileURLToPath } from "node:url";
import { FormatError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { array, literal, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import type { GatewayConfig } from "../config.ts";
import { canonicalHost } from "./address.ts";

/** What else may be reached, and how strictly. */
export type EgressConfig = {
  /** Addresses of collectors of traces, metrics or errors, each allowed by name and recorded. Default none. */
  readonly telemetry?: readonly TelemetryTarget[];
  /** Public host names that may stand for private addresses. Default none. */
  readonly private_hosts?: readonly string[];
  /** `process` (the default) refuses in the process; `off` leaves it to the network, and the capture scope says so. */
  readonly guard?: "process" | "off";
};

/** An allowance that takes a protection away: what is sent there is not seen. */
export type TelemetryTarget = { readonly url: string; readonly acknowledged: true };

/** What a destination is for. */
export type EgressPurpose = "server" | "ledger" | "issuer" | "webhook" | "telemetry";

/** One place that may be connected to. */
export interface Destination {
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly purpose: EgressPurpose;
}

/** A child process that the configuration starts. */
export interface DeclaredChild {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
}

/** A thread that the gateway starts. */
export interface DeclaredThread {
  readonly name: string;
  /** Its compiled module, which exports `serve(port, data)`: a file of our package. */
  readonly module: string;
  /** What it may connect to, of what the process may. */
  readonly destinations: readonly Destination[];
}

/** Everything that may leave. */
export interface DeclaredEgress {
  readonly destinations: readonly Destination[];
  readonly privateHosts: readonly string[];
  readonly children: readonly DeclaredChild[];
  readonly threads: readonly DeclaredThread[];
  /** Names that the gateway's own listeners are bound to: looked up, and never connected to. */
  readonly ownNames: readonly string[];
}

/** The gateway's threads: their modules, beside this file, and what each of them is for. */
const THREADS: readonly {
  readonly name: string;
  readonly module: string;
  readonly purposes: readonly EgressPurpose[];
}[] = [
  { name: "delivery", module: "../receipts/delivery-thread.js", purposes: ["ledger"] },
  { name: "sealing", module: "../receipts/sealing-thread.js", purposes: [] },
];

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

export const egressShape: Shape<EgressConfig> = object<EgressConfig>({
  telemetry: optional(
    array(
      object<TelemetryTarget>({
        url: mapped(string({ maxLength: 2_048, description: "a URL" }), checkWebUrl),
        acknowledged: literal(true),
      }),
      { max: 16 },
    ),
  ),
  private_hosts: optional(array(string({ pattern: /^[^\s/]+$/u, maxLength: 255 }), { max: 64 })),
  guard: optional(literal("process", "off")),
});

/** What a configuration declares. */
export function declaredEgress(config: GatewayConfig): DeclaredEgress {
  const { servers, ledger, auth, egress = {} } = config;
  const issuers = [...(auth.oauth?.issuers ?? []), ...(auth.workflows?.issuers ?? [])];
  const urls: readonly (readonly [string | undefined, EgressPurpose])[] = [
    [ledger.url, "ledger"],
    ...servers.map((server) => ["url" in server ? server.url : undefined, "server"] as const),
    ...issuers.map(({ jwks_url: url }) => [url, "issuer"] as const),
    [config.approvals?.webhook?.url, "webhook"],
    ...(egress.telemetry ?? []).map(({ url }) => [url, "telemetry"] as const),
  ];
  const destinations = urls.flatMap(([url, purpose]) => (url === undefined ? [] : [destinationOf(url, purpose)]));
  return {
    destinations,
    threads: THREADS.map(({ name, module, purposes }) => ({
      name,
      module: fileURLToPath(new URL(module, import.meta.url)),
      destinations: destinations.filter(({ purpose }) => purposes.includes(purpose)),
    })),
    privateHosts: (egress.private_hosts ?? []).map(canonicalHost),
    ownNames: [config.listen?.host, config.operator_listen?.host, config.envoy?.listen?.host].flatMap((host) =>
      host === undefined ? [] : [canonicalHost(host)],
    ),
    children: servers.flatMap((server) =>
      "command" in server ? [{ command: server.command, args: server.args ?? [], cwd: server.cwd }] : [],
    ),
  };
}

/** As the capture scope states it. @param hasThreads  false if all work is done on one thread */
export function egressStatement(guard: "process" | "none", declared: DeclaredEgress, hasThreads: boolean): JsonObject {
  const { destinations, privateHosts, threads } = declared;
  return {
    guard,
    destinations: textsOf(destinations),
    private_hosts: [...privateHosts].toSorted(),
    threads: Object.fromEntries(hasThreads ? threads.map((thread) => [thread.name, textsOf(thread.destinations)]) : []),
  };
}

function textsOf(destinations: readonly Destination[]): readonly string[] {
  return [...new Set(destinations.map(({ purpose, host, port }) => `${purpose} ${host}:${port}`))].toSorted();
}

function destinationOf(text: string, purpose: EgressPurpose): Destination {
  const url = new URL(text);
  const port = url.port === "" ? (PORTS[url.protocol] ?? 443) : Number(url.port);
  return { host: canonicalHost(url.hostname), port, purpose };
}

function checkWebUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if ((url?.protocol === "http:" || url?.protocol === "https:") && url.username === "" && url.password === "")
    return text;
  throw new FormatError("ERR_SHAPE", "want an http or https URL without user info");
}
