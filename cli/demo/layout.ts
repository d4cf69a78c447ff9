/** Where `countersign setup` puts what it makes, and which ports the services get. One folder holds everything. */

import { join } from "node:path";

/** Number of witnesses, and how many of them make a quorum. */
export const WITNESSES = { count: 3, quorum: 2 } as const;

/** Documented ports: gateway, its operator listener, ledger, three witnesses, auditor node. */
export const DEFAULT_PORTS = [4100, 4101, 4200, 4211, 4212, 4213, 4300] as const;

/** Paths below the data folder. */
export interface Layout {
  readonly root: string;
  readonly config: (service: string) => string;
  readonly key: (name: string) => string;
  readonly token: (name: string) => string;
  /** A service's own data folder. */
  readonly data: (service: string) => string;
  readonly policyFolder: string;
  /** What the example memory server keeps. */
  readonly memoryFile: string;
  readonly witnessPolicy: string;
  readonly trust: string;
  readonly bundles: string;
  readonly logs: string;
}

/** @param root  the data folder */
export function makeLayout(root: string): Layout {
  return {
    root,
    config: (service) => join(root, "config", `${service}.json`),
    key: (name) => join(root, "keys", `${name}.key`),
    token: (name) => join(root, "tokens", name),
    data: (service) => join(root, "data", service),
    policyFolder: join(root, "policy"),
    memoryFile: join(root, "data", "memory.jsonl"),
    witnessPolicy: join(root, "witness-policy.txt"),
    trust: join(root, "trust.json"),
    bundles: join(root, "bundles"),
    logs: join(root, "logs"),
  };
}

/** Addresses of the services as the others reach them. */
export interface Addresses {
  readonly gateway: Address;
  readonly operator: Address;
  readonly ledger: Address;
  readonly witnesses: readonly Address[];
  readonly api: Address;
}

/** Where a service listens (`bind`), and the name under which others reach it (`host`). */
export interface Address {
  readonly bind: string;
  readonly host: string;
  readonly port: number;
}

/** Everything on loopback, on the given ports in the order of `DEFAULT_PORTS`. */
export function loopbackAddresses(ports: readonly number[]): Addresses {
  const at = (index: number): Address => ({ bind: "127.0.0.1", host: "127.0.0.1", port: ports[index] ?? 0 });
  return { gateway: at(0), operator: at(1), ledger: at(2), witnesses: [at(3), at(4), at(5)], api: at(6) };
}

/** One container a service, reached by the service's name; the operator listener stays on the container's loopback. */
export function composeAddresses(): Addresses {
  const at = (host: string, port: number): Address => ({ bind: "0.0.0.0", host, port });
  return {
    gateway: at("gateway", 4100),
    operator: { bind: "127.0.0.1", host: "127.0.0.1", port: 4101 },
    ledger: at("ledger", 4200),
    witnesses: [at("witness-1", 4211), at("witness-2", 4212), at("witness-3", 4213)],
    api: at("api", 4300),
  };
}

/** `http://host:port` as the other services reach it. */
export function urlOf(address: Address): string {
  return `http://${address.host}:${address.port}`;
}
