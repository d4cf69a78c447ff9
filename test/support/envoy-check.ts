/** A gRPC client that asks as Envoy does, over definitions of its own (ext-authz.proto). */

import { join } from "node:path";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { AGENT_TOKEN } from "./gateway-run.ts";
import { ROOT } from "./source-files.ts";

/** The token of the client. */
export const ENVOY_TOKEN: string = "e".repeat(40);

/** What a test varies of a check. */
export interface CheckChanges {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly rawBody?: Uint8Array;
  readonly size?: number;
  readonly extensions?: Readonly<Record<string, string>>;
  readonly certificate?: string;
  /** Undefined: none. */
  readonly token?: string | undefined;
}

/** What the service answered. */
export interface Checked {
  /** 0 lets the request go on. */
  readonly code: number;
  readonly httpStatus: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly removed: readonly string[];
  readonly body:
    | { readonly result?: object; readonly error?: { readonly data: { readonly reason: string } } }
    | undefined;
}

interface Option {
  readonly header: { readonly key: string; readonly value: string };
}

interface Response {
  readonly status: { readonly code: number };
  readonly denied_response?: {
    readonly status: { readonly code: number };
    readonly headers: readonly Option[];
    readonly body: string;
  };
  readonly ok_response?: {
    readonly headers_to_remove: readonly string[];
    readonly response_headers_to_add: readonly Option[];
  };
}

/** A connected client. */
export interface EnvoyClient {
  /** @throws the error of gRPC */
  readonly check: (message: string | undefined, changes?: CheckChanges) => Promise<Checked>;
  readonly close: () => void;
}

const PROTO = join(ROOT, "test", "support", "ext-authz.proto");

/** @param address  `host:port` */
export function connectEnvoyClient(address: string): EnvoyClient {
  const loaded = loadSync(PROTO, { keepCase: true, longs: Number, defaults: false });
  const method = methodOf(loaded["envoy.service.auth.v3.Authorization"]);
  const client = new Client(address, credentials.createInsecure());
  const check: EnvoyClient["check"] = (message, changes = {}) => {
    const metadata = new Metadata();
    const token = "token" in changes ? changes.token : ENVOY_TOKEN;
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes: Buffer): Response => Object.assign({ status: { code: 0 } }, method.responseDeserialize(bytes)),
        requestOf(message, changes),
        metadata,
        (error: ServiceError | null, response?: Response) => {
          if (response === undefined) reject(error ?? new Error("no answer"));
          else resolve(checkedOf(response));
        },
      );
    });
  };
  return { check, close: () => client.close() };
}

interface Method {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

function methodOf(service: object | undefined): Method {
  const check: Method | undefined = service !== undefined && "Check" in service ? Object(service.Check) : undefined;
  if (check === undefined) throw new Error("the proto file has no Check");
  return check;
}

function requestOf(message: string | undefined, changes: CheckChanges): object {
  const raw = changes.rawBody ?? (message === undefined ? new Uint8Array() : Buffer.from(message));
  const headers: Record<string, string | undefined> = {
    ":method": "POST",
    ":path": "/files/mcp",
    ":authority": "mcp.example",
    authorization: `Bearer ${AGENT_TOKEN}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "content-length": String(raw.length),
    "x-envoy-auth-partial-body": "false",
    ...changes.headers,
  };
  const http = {
    method: changes.method ?? "POST",
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)),
    path: "/files/mcp",
    host: "mcp.example",
    scheme: "http",
    protocol: "HTTP/1.1",
    size: changes.size ?? raw.length,
    body: changes.body ?? "",
    raw_body: raw,
  };
  return {
    attributes: {
      source: { certificate: changes.certificate ?? "", principal: "" },
      request: { http },
      context_extensions: changes.extensions ?? { server: "counting" },
    },
  };
}

function checkedOf({ status, denied_response: denied, ok_response: ok }: Response): Checked {
  const added = denied?.headers ?? ok?.response_headers_to_add ?? [];
  return {
    code: status.code ?? 0,
    httpStatus: denied?.status.code,
    headers: Object.fromEntries(added.map(({ header }) => [header.key, header.value])),
    removed: ok?.headers_to_remove ?? [],
    body: denied === undefined || denied.body === "" ? undefined : JSON.parse(denied.body),
  };
}
