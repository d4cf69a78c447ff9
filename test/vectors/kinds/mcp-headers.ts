/** `mcp/headers`: header values both ways, refused decodings, and the header checks of a modern request. */

import { eraOf } from "../../../gateway/wire/era.ts";
import { requestRule } from "../../../gateway/wire/methods.ts";
import { checkParamHeaders, decodeHeader, encodeHeader } from "../../../gateway/wire/mirrored-headers.ts";
import { paramHeaders } from "../../../gateway/wire/param-headers.ts";
import { readMessage } from "../../../gateway/wire/rpc.ts";
import { formatUtf8 } from "../../../kernel/bytes.ts";
import { type CaseResult, isVectorObject, type KindHandler, textOf, type VectorObject } from "../case-file.ts";
import { documentOf, listOf } from "./mcp.ts";

/** Every encoding, refused decoding and check of the file. */
export const headerCases: KindHandler = async function* (file): AsyncGenerator<CaseResult> {
  const document = documentOf(file);
  for (const one of listOf(document, "encode")) {
    const [value, header] = [textOf(one, "value"), textOf(one, "header")];
    yield result(
      `${file.kind}/encode/${textOf(one, "note")}`,
      { header, value },
      { header: encodeHeader(value), value: decodeHeader(header) },
    );
  }
  const refused: unknown = document["decodeRefused"];
  for (const header of Array.isArray(refused) ? refused : []) {
    yield result(`${file.kind}/refused/${String(header)}`, "refused", decodeHeader(String(header)) ?? "refused");
  }
  for (const one of listOf(document, "checks"))
    yield result(`${file.kind}/${textOf(one, "id")}`, one["expect"], judge(one));
};

function result(id: string, expected: unknown, got: unknown): CaseResult {
  const isEqual = JSON.stringify(expected) === JSON.stringify(got);
  return { id, expected, got, code: null, verdict: isEqual ? "passed" : "failed" };
}

function judge({ headers, body, inputSchema }: VectorObject): { readonly status: number; readonly code?: number } {
  const given = isVectorObject(headers) ? Object.entries(headers) : [];
  const lower = Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), String(value)]));
  const message = readMessage(formatUtf8(JSON.stringify(body)), "ingress", 65_536);
  if (message.type !== "request") throw new Error("want a request");
  const era = eraOf(message, lower);
  if (era.type === "refusal") return { status: era.httpStatus, code: era.rpcCode };
  if (["removed", "unknown"].includes(requestRule(message.method, era.type).rule))
    return { status: 404, code: -32_601 };
  const mirrored = paramHeaders(JSON.stringify({ name: "t", inputSchema: inputSchema ?? {} })) ?? [];
  const fault = checkParamHeaders(lower, mirrored, message.params, "modern");
  return fault === undefined ? { status: 200 } : { status: fault.httpStatus, code: fault.rpcCode };
}
