/** What `up` reads back from the configuration files of its services: addresses, in the order of their start. */

import type { JsonValue } from "../../kernel/json/value.ts";
import { integer, json, object, readShape, record, type Shape, string } from "../../kernel/shape.ts";
import { readJsonFile } from "../files.ts";
import { type Layout, WITNESSES } from "./layout.ts";
import type { ServicePlan } from "./processes.ts";

/** `http://host:port` of each service. */
export interface Topology {
  readonly ledger: string;
  readonly witnesses: readonly string[];
  readonly api: string;
  readonly gateway: string;
  readonly operator: string;
}

interface Listen {
  readonly host: string;
  readonly port: number;
}

const listenShape: Shape<Listen> = object<Listen>({ host: string(), port: integer({ min: 1, max: 65_535 }) });
const membersShape: Shape<Readonly<Record<string, JsonValue>>> = record(json(), { max: 64 });

/** Reads the addresses of a setup. @throws {FormatError} naming the file and the field */
export function readTopology(layout: Layout): Topology {
  const url = (service: string, member = "listen"): string =>
    readJsonFile(layout.config(service), (value) => {
      const { host, port } = readShape(listenShape, readShape(membersShape, value, service)[member] ?? null, member);
      return `http://${host}:${port}`;
    });
  return {
    ledger: url("ledger"),
    witnesses: Array.from({ length: WITNESSES.count }, (_, index) => url(`witness-${index + 1}`)),
    api: url("api"),
    gateway: url("gateway"),
    operator: url("gateway", "operator_listen"),
  };
}

/** The services in the order of their start. */
export function servicePlans(layout: Layout, topology: Topology): readonly ServicePlan[] {
  const plan = (command: string, name: string, origin: string): ServicePlan => ({
    name,
    args: [command, "--config", layout.config(name)],
    readyUrl: `${origin}/readyz`,
  });
  return [
    ...topology.witnesses.map((origin, index) => plan("witness", `witness-${index + 1}`, origin)),
    plan("ledger", "ledger", topology.ledger),
    plan("gateway", "gateway", topology.operator),
    plan("api", "api", topology.api),
  ];
}
