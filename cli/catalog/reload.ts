/** Brings a signed catalog to a running gateway, through its operator's listener. */

import type { ReloadedCatalog } from "../../gateway/catalog-reload.ts";
import { GATEWAY_DEFAULTS, type GatewayConfig } from "../../gateway/config.ts";
import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { array, integer, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import { readBytes, readToken } from "../files.ts";

const TIMEOUT_MS = 60_000;

const answerShape: Shape<ReloadedCatalog> = object<{
  readonly digest: string;
  readonly version: number;
  readonly approvers: readonly string[];
}>({ digest: string(), version: integer(), approvers: array(string()) });

const faultShape = object<{ readonly error: { readonly code: string; readonly message: string } }>({
  error: object<{ readonly code: string; readonly message: string }>({ code: string(), message: string() }),
});

/**
 * Posts the bytes of the file.
 *
 * @throws {StoreError} ERR_SERVICE_START if the gateway does not answer; ERR_SERVICE_ANSWER with its code if it refuses
 */
export async function reloadCatalog(config: GatewayConfig, path: string): Promise<ReloadedCatalog> {
  const answer = await post(operatorUrl(config), readBytes(path), readToken(config.operator_token_file));
  if (answer.status === 200) return readShape(answerShape, answer.value, "answer");
  const { code, message } = readShape(faultShape, answer.value, "answer").error;
  throw new StoreError("ERR_SERVICE_ANSWER", `the gateway answered ${answer.status} ${code}: ${message}`);
}

async function post(
  url: string,
  bytes: Uint8Array,
  token: string,
): Promise<{ readonly status: number; readonly value: JsonValue }> {
  try {
    const answer = await fetch(`${url}/catalog`, {
      method: "POST",
      body: new Uint8Array(bytes),
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: answer.status, value: parseJson(new Uint8Array(await answer.arrayBuffer())) };
  } catch (cause) {
    throw new StoreError("ERR_SERVICE_START", `the gateway does not answer at ${url}`, { cause });
  }
}

function operatorUrl({ operator_listen }: GatewayConfig): string {
  const { host = GATEWAY_DEFAULTS.host, port = GATEWAY_DEFAULTS.operatorPort } = operator_listen ?? {};
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
