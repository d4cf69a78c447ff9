/** The gateway's operator routes, as `up` uses them: status, sealing, waiting for proofs. */

import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { pause } from "./processes.ts";

const POLL_MS = 100;
const PROOF_LIMIT_MS = 30_000;
const REQUEST_LIMIT_MS = 10_000;

/** Address and token of a gateway's operator listener. */
export interface Operator {
  readonly url: string;
  readonly token: string;
}

/** The members of `GET /status` that `up` reads. */
export interface GatewayStatus {
  readonly stream: string;
  /** Sequence number of the next receipt. */
  readonly next_seq: number;
  /** Receipts below this number have a verified, witnessed log proof. */
  readonly proven_seq: number;
  readonly mode: string;
  readonly key_protection: string;
  readonly policy: string;
  readonly catalog: string;
}

/** Reads the gateway's status. @throws {StoreError} ERR_SERVICE_ANSWER */
export async function readStatus(operator: Operator): Promise<GatewayStatus> {
  const status = await request(operator, "GET", "/status");
  const outbox = objectAt(status, "outbox");
  return {
    stream: textAt(status, "stream"),
    next_seq: numberAt(status, "next_seq"),
    proven_seq: numberAt(outbox, "proven"),
    mode: textAt(status, "mode"),
    key_protection: textAt(status, "key_protection"),
    policy: textAt(objectAt(status, "policy"), "digest"),
    catalog: textAt(objectAt(status, "catalog"), "digest"),
  };
}

/** Seals every open session, so that its counts are on record. */
export async function sealSessions(operator: Operator): Promise<void> {
  await request(operator, "POST", "/sessions/seal");
}

/**
 * Resolves when every receipt that existed at the call has a witnessed log proof.
 *
 * @throws {StoreError} ERR_PROOF_LATE after 30 s
 */
export async function waitProven(operator: Operator): Promise<GatewayStatus> {
  const goal = await readStatus(operator);
  const deadline = performance.now() + PROOF_LIMIT_MS;
  while (performance.now() < deadline) {
    const now = await readStatus(operator);
    if (now.stream === goal.stream && now.proven_seq >= goal.next_seq) return goal;
    await pause(POLL_MS);
  }
  throw new StoreError(
    "ERR_PROOF_LATE",
    `no witnessed log proof within ${PROOF_LIMIT_MS / 1000} s; see the logs of ledger and witnesses`,
  );
}

async function request(operator: Operator, method: "GET" | "POST", path: string): Promise<JsonObject> {
  const answer = await fetch(`${operator.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${operator.token}` },
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  });
  const body = parseJson(new Uint8Array(await answer.arrayBuffer()));
  if (!answer.ok)
    throw new StoreError("ERR_SERVICE_ANSWER", `${method} ${path} of the gateway answered ${answer.status}`);
  return asObject(body, path);
}

function asObject(value: JsonValue | undefined, where: string): JsonObject {
  if (value === undefined || !isJsonObject(value)) throw unexpected(where, "an object");
  return value;
}

function objectAt(value: JsonObject, member: string): JsonObject {
  return asObject(value[member], member);
}

function textAt(value: JsonObject, member: string): string {
  const found = value[member];
  if (typeof found !== "string") throw unexpected(member, "a string");
  return found;
}

function numberAt(value: JsonObject, member: string): number {
  const found = value[member];
  if (typeof found !== "number") throw unexpected(member, "a number");
  return found;
}

function unexpected(member: string, want: string): StoreError {
  return new StoreError("ERR_SERVICE_ANSWER", `the gateway's status: want ${want} at ${member}`);
}
