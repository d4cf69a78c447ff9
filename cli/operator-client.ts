/** Requests to a running gateway's operator routes, with the token that the configuration names or another one. */

import { GATEWAY_DEFAULTS, type GatewayConfig } from "../gateway/config.ts";
import { StoreError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../kernel/json/value.ts";
import { readToken } from "./files.ts";

/** One request. @throws {StoreError} ERR_SERVICE_ANSWER: not reachable, or a refusal with its code */
export type OperatorCall = (
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  body?: JsonObject,
) => Promise<JsonObject>;

const TIMEOUT_MS = 30_000;

/** @param tokenFile  of an operator with a token of their own; default: the configuration's `operator_token_file` */
export function operatorClient(config: GatewayConfig, tokenFile: string | undefined): OperatorCall {
  const { host = GATEWAY_DEFAULTS.host, port = GATEWAY_DEFAULTS.operatorPort } = config.operator_listen ?? {};
  const named = host.includes(":") ? `[${host}]` : host;
  const url = `http://${named === "0.0.0.0" ? "127.0.0.1" : named}:${port}`;
  const token = readToken(tokenFile ?? config.operator_token_file);
  return async (method, path, body) => {
    const answer = await reach(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const value = parseJson(new Uint8Array(await answer.arrayBuffer()), { maxBytes: Number.MAX_SAFE_INTEGER });
    if (answer.ok && isJsonObject(value)) return value;
    const error = isJsonObject(value) && isJsonObject(value["error"]) ? value["error"] : {};
    throw new StoreError(
      "ERR_SERVICE_ANSWER",
      `the gateway answered ${answer.status} ${String(error["code"])}: ${String(error["message"])}`,
    );
  };
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    throw new StoreError("ERR_SERVICE_ANSWER", `no gateway answers at ${url}`, { cause });
  }
}
