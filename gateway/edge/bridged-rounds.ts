/**
 * Questions of a modern server to a legacy agent. The server answers a call with what it asks; the agent is asked by requests on
 * the call's own stream, each decided and recorded, and its answers go to the server with the next round of the same call.
 */

import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { UpstreamFacts } from "../pipeline/call.ts";
import { applyEdits, editMembers, rawAt, spanOf } from "../wire/spans.ts";
import type { AgentRequest } from "./agent-request.ts";
import { askAgent } from "./ask-agent.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import type { InputQuestion, InputRequired } from "./input-required.ts";

/** What the agent answered, as members of the next round's params. */
export interface Answers {
  /** JSON text by member. */
  readonly members: Readonly<Record<string, string>>;
  readonly params: JsonObject;
}

/**
 * Asks the agent one question after the other.
 *
 * @returns undefined if one of them was refused, or not answered
 */
export async function askAll(
  deps: ReceiptDeps,
  request: AgentRequest,
  serverId: string,
  upstream: UpstreamFacts,
  { questions, state }: InputRequired,
): Promise<Answers | undefined> {
  const texts: string[] = [];
  const values: [string, JsonObject][] = [];
  for (const question of questions) {
    const answer = await askOne(deps, request, serverId, upstream, question);
    if (answer === undefined) return undefined;
    texts.push(`${JSON.stringify(question.key)}:${answer.text}`);
    values.push([question.key, answer.value]);
  }
  const inputResponses = Object.fromEntries(values);
  const members = { inputResponses: `{${texts.join(",")}}` };
  if (state === null) return { members, params: { inputResponses } };
  return {
    members: { ...members, requestState: JSON.stringify(state) },
    params: { inputResponses, requestState: state },
  };
}

async function askOne(
  deps: ReceiptDeps,
  { legs, notify, signal }: AgentRequest,
  serverId: string,
  upstream: UpstreamFacts,
  { method, params, text }: InputQuestion,
): Promise<{ readonly text: string; readonly value: JsonObject } | undefined> {
  if (legs === undefined) return undefined;
  const question = questionRequest(method, params, text);
  const send = (bytes: Uint8Array): boolean => {
    notify?.(bytes);
    return notify !== undefined;
  };
  const asking = { serverId, upstream, message: question, received: formatUtf8(text), send, signal };
  const answer = parseUtf8(await askAgent(deps, legs.agent, asking));
  const value = parseJson(formatUtf8(answer), { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
  const result = isJsonObject(value) ? value["result"] : undefined;
  return isJsonObject(result) ? { text: rawAt(answer, ["result"]) ?? "{}", value: result } : undefined;
}

/** The question as a JSON-RPC request; its id is put in by whoever sends it. */
function questionRequest(method: string, params: JsonObject, text: string): Parameters<typeof askAgent>[2]["message"] {
  const head = `{"jsonrpc":"2.0","id":0,"method":${JSON.stringify(method)}`;
  const given = rawAt(text, ["params"]);
  const whole = given === undefined ? `${head}}` : `${head},"params":${given}}`;
  return { type: "request", id: 0, method, params, text: whole, value: { jsonrpc: "2.0", id: 0, method, params } };
}

/** A message with these members in its params, in place of those of the round before. */
export function withMembers(message: Uint8Array, members: Readonly<Record<string, string>>): Uint8Array {
  const text = parseUtf8(message);
  const span = spanOf(text, ["params"]);
  const edit = span === undefined ? undefined : editMembers(text, span, members, () => false);
  return edit === undefined ? message : formatUtf8(applyEdits(text, [edit]));
}
