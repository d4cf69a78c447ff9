/** Asks the auditor node what it made of the walk: it must have found everything by itself, through the ledger. */

import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { pause } from "./processes.ts";

const POLL_MS = 100;
const INDEX_LIMIT_MS = 30_000;
const REQUEST_LIMIT_MS = 10_000;

const PROGRESS = `query ($stream: String!) { stream(id: $stream) { id nextSeq receipts } }`;
const FINDINGS = `query ($stream: String) {
  checkpoint { size cosignatures { witness } }
  ledgers { alarms }
  receipts(last: 1, filter: { stream: $stream, decision: DENY }) {
    edges { node { index tool policies reasons checks { inclusion { verdict } signature { verdict } } } }
  }
}`;
const PROOF = `query ($index: Count!) { logProof(index: $index) { index size } inclusionProof(index: $index) { hashes witnessed } }`;

/**
 * Waits until the node has indexed the gateway's stream up to `nextSeq`, and returns what it knows, as lines to print.
 * The log may hold other streams, of other gateways or of a wrapped server.
 *
 * @param apiUrl  `http://host:port` of a node that asks for no token
 * @throws {StoreError} ERR_PROOF_LATE after 30 s, ERR_SERVICE_ANSWER
 */
export async function askAuditor(apiUrl: string, id: string, nextSeq: number): Promise<string> {
  const stream = await untilIndexed(apiUrl, id, nextSeq);
  const findings = await ask(apiUrl, FINDINGS, { stream: id });
  const checkpoint = objectAt(findings, "checkpoint");
  const witnesses = listAt(checkpoint, "cosignatures").length;
  const alarms = listAt(findings, "ledgers").reduce(
    (sum: number, ledger) => sum + numberAt(asObject(ledger, "ledgers"), "alarms"),
    0,
  );
  const summary =
    `Auditor node: ${numberAt(stream, "receipts")} receipts of this stream, verified again from the entries up; ` +
    `checkpoint of size ${numberAt(checkpoint, "size")}, ${witnesses} witnesses, ${alarms} alarms\n`;
  const [denied] = listAt(objectAt(findings, "receipts"), "edges");
  return denied === undefined
    ? summary
    : `${summary}${await describeDenied(apiUrl, objectAt(asObject(denied, "edges"), "node"))}`;
}

async function untilIndexed(apiUrl: string, id: string, nextSeq: number): Promise<JsonObject> {
  const deadline = performance.now() + INDEX_LIMIT_MS;
  while (performance.now() < deadline) {
    const { stream } = await ask(apiUrl, PROGRESS, { stream: id });
    if (isJsonObject(stream) && numberAt(stream, "nextSeq") >= nextSeq) return stream;
    await pause(POLL_MS);
  }
  throw new StoreError(
    "ERR_PROOF_LATE",
    `the auditor node has not indexed receipt ${nextSeq - 1} within ${INDEX_LIMIT_MS / 1000} s; see its log`,
  );
}

async function describeDenied(apiUrl: string, receipt: JsonObject): Promise<string> {
  const index = numberAt(receipt, "index");
  const proof = await ask(apiUrl, PROOF, { index });
  const inclusion = objectAt(proof, "inclusionProof");
  const tool = receipt["tool"];
  const policies = listAt(receipt, "policies").map(String).join(", ");
  const reasons = listAt(receipt, "reasons").map(String).join(", ");
  const state = inclusion["witnessed"] === true ? "under the witnessed root" : "not under a witnessed root";
  return (
    `  denied: ${typeof tool === "string" ? tool : "(name not in the catalog)"}, receipt ${index}, ` +
    `${reasons}${policies === "" ? "" : ` (policy ${policies})`}\n` +
    `  log proof of receipt ${index}: ${listAt(inclusion, "hashes").length} hashes to the root of size ` +
    `${numberAt(objectAt(proof, "logProof"), "size")}, ${state}\n`
  );
}

async function ask(apiUrl: string, query: string, variables: JsonObject): Promise<JsonObject> {
  const answer = await fetch(`${apiUrl}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  });
  const body = asObject(parseJson(new Uint8Array(await answer.arrayBuffer())), "answer");
  if (!answer.ok || body["errors"] !== undefined) {
    throw new StoreError("ERR_SERVICE_ANSWER", `the auditor node answered ${answer.status} with errors`);
  }
  return objectAt(body, "data");
}

function asObject(value: JsonValue | undefined, where: string): JsonObject {
  if (value === undefined || !isJsonObject(value)) throw unexpected(where, "an object");
  return value;
}

function objectAt(value: JsonObject, member: string): JsonObject {
  return asObject(value[member], member);
}

function listAt(value: JsonObject, member: string): readonly JsonValue[] {
  const found = value[member];
  if (!isList(found)) throw unexpected(member, "a list");
  return found;
}

function numberAt(value: JsonObject, member: string): number {
  const found = value[member];
  if (typeof found !== "number") throw unexpected(member, "a number");
  return found;
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function unexpected(member: string, want: string): StoreError {
  return new StoreError("ERR_SERVICE_ANSWER", `the auditor node: want ${want} at ${member}`);
}
