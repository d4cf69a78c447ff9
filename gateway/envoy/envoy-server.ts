/** The gRPC service `envoy.service.auth.v3.Authorization` on a listener of its own. Whatever fails denies. */

import {
  status as grpcStatus,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { errorCode, StoreError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { type AgentAnswer, formatReceiptRef } from "../edge/agent-request.ts";
import { makeConfigured } from "../edge/bearer.ts";
import type { Pipeline } from "../pipeline/call.ts";
import type { Authorize, Verdict } from "./authorizer.ts";
import { authorizationService, type CheckRequest, type CheckResponse, type HeaderOption } from "./check-proto.ts";

/** What it is started with. */
export interface EnvoyServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly token: string;
  readonly maxChecks: number;
  readonly maxBodyBytes: number;
  readonly authorize: Authorize;
  readonly pipeline: Pick<Pipeline, "refuse">;
  readonly logger: Logger;
}

/** A running service. */
export interface EnvoyServer {
  /** `host:port`. */
  readonly address: string;
  /** Lets checks under way end within `limitMs`. */
  readonly close: (limitMs: number) => Promise<void>;
}

type Call = ServerUnaryCall<CheckRequest, CheckResponse>;
type Answer = sendUnaryData<CheckResponse>;

/** Room for headers and names around a body. */
const HEAD_BYTES = 1024 * 1024;

/**
 * Listens.
 *
 * @throws {StoreError} ERR_SERVICE_START
 */
export async function startEnvoyServer(options: EnvoyServerOptions): Promise<EnvoyServer> {
  const server = new Server({
    "grpc.max_receive_message_length": options.maxBodyBytes + HEAD_BYTES,
    "grpc.max_concurrent_streams": options.maxChecks,
  });
  const isKnown = makeConfigured([{ token: options.token, caller: ENVOY }]);
  let underWay = 0;
  const check = (call: Call, answer: Answer): void => {
    if (underWay >= options.maxChecks) {
      answer({ code: grpcStatus.RESOURCE_EXHAUSTED, details: "too many checks are under way" });
      return;
    }
    underWay += 1;
    void checkOne(options, isKnown, call)
      .then(
        (response) => answer(null, response),
        (error: unknown) => failed(options, answer, error),
      )
      .finally(() => {
        underWay -= 1;
      });
  };
  server.addService(authorizationService(), { Check: check });
  const { host, port } = options.listen;
  const name = host.includes(":") ? `[${host}]` : host;
  const bound = await bind(server, `${name}:${port}`);
  return { address: `${name}:${bound}`, close: (limitMs) => closeServer(server, limitMs) };
}

const ENVOY = { issuer: "local", name: "envoy", provenance: "connection-credential", outcome: "verified" } as const;

class UnknownClient extends Error {}

async function checkOne(
  { authorize, pipeline }: EnvoyServerOptions,
  isKnown: ReturnType<typeof makeConfigured>,
  { metadata, request }: Call,
): Promise<CheckResponse> {
  const [given] = metadata.get("authorization");
  const token = typeof given === "string" ? /^bearer +(\S+)$/iu.exec(given)?.[1] : undefined;
  if (token === undefined || isKnown(token) === undefined) {
    const reason = given === undefined ? "auth.missing" : "auth.invalid";
    await pipeline.refuse({ step: "authenticate", reason, wire: { transport: "http" } });
    throw new UnknownClient();
  }
  return responseOf(await authorize(request));
}

/** An error of gRPC is a denial: with `failure_mode_allow: false` Envoy answers 403. */
function failed({ logger }: EnvoyServerOptions, answer: Answer, error: unknown): void {
  if (error instanceof UnknownClient) {
    answer({ code: grpcStatus.UNAUTHENTICATED, details: "want the token of the configuration" });
    return;
  }
  logger.error({ code: errorCode(error) }, "a check failed inside the gateway");
  answer({ code: grpcStatus.INTERNAL, details: "the check failed" });
}

/** No server gets a credential that was meant for the gateway. */
const CREDENTIALS = ["authorization", "dpop"] as const;
const RECEIPT = "countersign-receipt";

function responseOf(verdict: Verdict): CheckResponse {
  if (verdict.type === "answer") return deniedResponse(verdict.answer);
  const { receipt } = verdict;
  return {
    status: { code: grpcStatus.OK },
    ok_response: {
      headers_to_remove: CREDENTIALS,
      response_headers_to_add: receipt === undefined ? [] : [header(RECEIPT, formatReceiptRef(receipt))],
    },
  };
}

function deniedResponse({ httpStatus, bytes, receipt, headers = {} }: AgentAnswer): CheckResponse {
  const named = receipt === undefined ? [] : [header(RECEIPT, formatReceiptRef(receipt))];
  const others = Object.entries(headers).map(([name, value]) => header(name.toLowerCase(), value));
  return {
    status: { code: grpcStatus.PERMISSION_DENIED },
    denied_response: {
      status: { code: httpStatus },
      headers: [header("content-type", "application/json"), header("cache-control", "no-store"), ...named, ...others],
      body: parseUtf8(bytes),
    },
  };
}

function header(key: string, value: string): HeaderOption {
  return { header: { key, value } };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (cause, port) => {
      if (cause === null) resolve(port);
      else reject(new StoreError("ERR_SERVICE_START", `the gateway cannot listen on ${address} for Envoy`, { cause }));
    });
  });
}

async function closeServer(server: Server, limitMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const timer = setTimeout(() => server.forceShutdown(), limitMs);
  await closed;
  clearTimeout(timer);
}
