/**
 * The part of `envoy.service.auth.v3` that is spoken here, with the field numbers of its definition. Fields that are not
 * named are skipped when a request is read, as protobuf says.
 */

import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";

/** What Envoy asks: one HTTP request, and who sent it. Absent messages are null; absent texts are empty. */
export interface CheckRequest {
  readonly attributes: {
    readonly source: { readonly certificate: string } | null;
    readonly request: { readonly http: CheckedHttp | null } | null;
    /** From the route's configuration, never from the client. */
    readonly context_extensions: Readonly<Record<string, string>>;
  } | null;
}

/** The HTTP request. */
export interface CheckedHttp {
  readonly method: string;
  /** Names in lower case; a header that stood twice has both values in one text. */
  readonly headers: Readonly<Record<string, string>>;
  readonly path: string;
  /** Bytes of the body as far as Envoy knows: -1 if it does not. */
  readonly size: number;
  /** The body as text, which Envoy may have changed: not used. */
  readonly body: string;
  readonly raw_body: Uint8Array;
}

/** A header to add. */
export interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string };
}

/** What Envoy is told. */
export interface CheckResponse {
  readonly status: { readonly code: number; readonly message?: string };
  readonly ok_response?: {
    readonly headers_to_remove: readonly string[];
    readonly response_headers_to_add: readonly HeaderOption[];
  };
  readonly denied_response?: {
    readonly status: { readonly code: number };
    readonly headers: readonly HeaderOption[];
    readonly body: string;
  };
}

interface Field {
  readonly id: number;
  readonly type: string;
  readonly rule?: string;
  readonly keyType?: string;
}

const field = (id: number, type: string): Field => ({ id, type });
const repeated = (id: number, type: string): Field => ({ id, type, rule: "repeated" });
const textMap = (id: number): Field => ({ id, keyType: "string", type: "string" });
const message = (fields: Record<string, Field>): { fields: Record<string, Field> } => ({ fields });

const CHECK = { requestType: "CheckRequest", responseType: "CheckResponse", comment: "" };
const TYPES = {
  CheckRequest: message({ attributes: field(1, "AttributeContext") }),
  AttributeContext: message({
    source: field(1, "Peer"),
    request: field(4, "Request"),
    context_extensions: textMap(10),
  }),
  Peer: message({ certificate: field(5, "string") }),
  Request: message({ http: field(2, "HttpRequest") }),
  HttpRequest: message({
    method: field(2, "string"),
    headers: textMap(3),
    path: field(4, "string"),
    size: field(9, "int64"),
    body: field(11, "string"),
    raw_body: field(12, "bytes"),
  }),
  CheckResponse: {
    oneofs: { http_response: { oneof: ["denied_response", "ok_response"] } },
    ...message({
      status: field(1, "RpcStatus"),
      denied_response: field(2, "DeniedHttpResponse"),
      ok_response: field(3, "OkHttpResponse"),
    }),
  },
  RpcStatus: message({ code: field(1, "int32"), message: field(2, "string") }),
  DeniedHttpResponse: message({
    status: field(1, "HttpStatus"),
    headers: repeated(2, "HeaderValueOption"),
    body: field(3, "string"),
  }),
  OkHttpResponse: message({
    headers_to_remove: repeated(5, "string"),
    response_headers_to_add: repeated(6, "HeaderValueOption"),
  }),
  HttpStatus: message({ code: field(1, "int32") }),
  HeaderValueOption: message({ header: field(1, "HeaderValue") }),
  HeaderValue: message({ key: field(1, "string"), value: field(2, "string") }),
  Authorization: { methods: { Check: CHECK } },
};

/** Name of the service on the wire. */
export const SERVICE_NAME = "envoy.service.auth.v3.Authorization";

/** The service, for a server. */
export function authorizationService(): ServiceDefinition {
  const nested = { envoy: { nested: { service: { nested: { auth: { nested: { v3: { nested: TYPES } } } } } } } };
  const found = fromJSON({ nested }, { keepCase: true, longs: Number, defaults: true })[SERVICE_NAME];
  return isService(found) ? found : {};
}

function isService(found: object | undefined): found is Record<string, MethodDefinition<object, object>> {
  return found !== undefined && "Check" in found;
}
