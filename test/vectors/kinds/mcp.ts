/**
 * Kinds of fixtures/mcp: each case goes to the public function that owns it. In a corpus a single miss is no failure; the rates at
 * its end fail or pass where the manifest bounds them, and rates by rule are printed.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { digestDefinition } from "../../../gateway/catalog/digests.ts";
import { type PortAnswer, scanName, scanText, scanTool, scanValue } from "../../../gateway/inspection/scan-port.ts";
import { readMessage } from "../../../gateway/wire/rpc.ts";
import { type Scope, scanJson } from "../../../gateway/wire/scan.ts";
import { formatUtf8 } from "../../../kernel/bytes.ts";
import { parseHex } from "../../../kernel/hex.ts";
import type { JsonValue } from "../../../kernel/json/value.ts";
import {
  type CaseFile,
  type CaseResult,
  isVectorObject,
  type KindHandler,
  textOf,
  type VectorObject,
} from "../case-file.ts";
import { type CorpusCase, corpus } from "./mcp-corpus.ts";
import { headerCases } from "./mcp-headers.ts";
import { piiCases, unicodeCase } from "./mcp-spans.ts";

/** The documents of an entry. */
export function documentOf({ folder, document }: CaseFile): VectorObject {
  const files: unknown = document["files"];
  const first: unknown = Array.isArray(files) ? files[0] : undefined;
  if (!isVectorObject(first)) throw new Error("want files in the entry of the manifest");
  const content: unknown = JSON.parse(readFileSync(join(folder, textOf(first, "file")), "utf8"));
  if (isVectorObject(content)) return content;
  throw new Error("want an object in the file of vectors");
}

/** A list of objects. */
export function listOf(object: VectorObject, key: string): readonly VectorObject[] {
  const list: unknown = object[key];
  if (Array.isArray(list) && list.every(isVectorObject)) return list;
  throw new Error(`want a list of objects in ${key}`);
}

/** A value that came from JSON text. */
export function jsonOf(value: unknown): JsonValue {
  const copy: JsonValue = JSON.parse(JSON.stringify(value));
  return copy;
}

function rulesOf({ findings }: PortAnswer): readonly string[] {
  return [...new Set(findings.filter(({ severity }) => severity !== "info").map(({ rule }) => rule))].sort();
}

function labelled(answer: (sample: VectorObject) => PortAnswer): KindHandler {
  return corpus((document) =>
    listOf(document, "samples").map((sample): CorpusCase => {
      const found = answer(sample);
      const isBad = sample["label"] === "malicious";
      const isFound = found.verdict !== "pass";
      return {
        id: textOf(sample, "id"),
        isBad,
        isFound,
        isBlocked: found.verdict === "block",
        isGated: sample["gated"] === true,
        rules: rulesOf(found),
        expected: isBad ? "malicious" : "benign",
        got: { verdict: found.verdict, rules: rulesOf(found) },
      };
    }),
  );
}

const benign: KindHandler = corpus((document) =>
  listOf(document, "servers").flatMap((server) =>
    listOf(server, "tools").map((tool): CorpusCase => {
      const found = scanTool(jsonOf(tool));
      return {
        id: `${textOf(server, "server")}/${textOf(tool, "name")}`,
        group: textOf(server, "server"),
        isBad: false,
        isFound: found.verdict !== "pass",
        isBlocked: found.verdict === "block",
        isGated: true,
        rules: rulesOf(found),
        expected: "pass",
        got: { verdict: found.verdict, rules: rulesOf(found) },
      };
    }),
  ),
);

const names: KindHandler = corpus((document) =>
  listOf(document, "cases").map((one): CorpusCase => {
    const approved: unknown = one["approved"];
    const list = Array.isArray(approved) ? approved.filter((name) => typeof name === "string") : [];
    const found = scanName(textOf(one, "candidate"), list);
    const rules = rulesOf(found).filter((rule) => rule === "name.look-alike" || rule.startsWith("unicode."));
    const isBad = one["label"] === "squat";
    return {
      id: `${textOf(one, "candidate")} against ${list.join(" ")}`,
      isBad,
      isFound: rules.length > 0,
      isBlocked: found.verdict === "block",
      isGated: true,
      scope: isBad ? "squat" : "distinct",
      rules,
      expected: isBad ? "squat" : "distinct",
      got: rules,
    };
  }),
);

const secrets: KindHandler = corpus((document) =>
  listOf(document, "cases").map((one): CorpusCase => {
    const parts: unknown = one["parts"];
    const found = scanText(Array.isArray(parts) ? parts.join("") : "");
    const rules = rulesOf(found).filter((rule) => rule.startsWith("secret."));
    const isBad = one["detect"] === true;
    return {
      id: textOf(one, "id"),
      isBad,
      isFound: rules.length > 0,
      isBlocked: false,
      isGated: true,
      scope: isBad ? "detect" : "not detect",
      rules,
      expected: isBad ? "secret.*" : "none",
      got: rules,
    };
  }),
);

function evasion(sample: VectorObject): PortAnswer {
  const text = textOf(sample, "text");
  const surface = textOf(sample, "surface");
  if (surface === "tool_definition") {
    return scanTool({ name: "sample", description: text, inputSchema: { type: "object", properties: {} } });
  }
  return surface === "tool_arguments" ? scanValue({ value: text }, "argument") : scanText(text);
}

/** A handler of exact cases. */
function exact(
  list: string,
  run: (one: VectorObject) => { readonly expected: unknown; readonly got: unknown },
): KindHandler {
  return async function* (file): AsyncGenerator<CaseResult> {
    for (const one of listOf(documentOf(file), list)) {
      const { expected, got } = run(one);
      const isEqual = JSON.stringify(expected) === JSON.stringify(got);
      yield {
        id: `${file.kind}/${textOf(one, "id")}`,
        expected,
        got,
        code: null,
        verdict: isEqual ? "passed" : "failed",
      };
    }
  };
}

const strictJson = exact("cases", (one) => {
  const { text, hex, scope, layer } = one;
  const bytes = typeof text === "string" ? formatUtf8(text) : parseHex(String(hex), String(hex).length / 2);
  const direction: Scope = scope === "egress" ? "egress" : "ingress";
  const read = layer === "json" ? scanJson : readMessage;
  const message = read(bytes, direction, 4 * 1024 * 1024);
  return {
    expected: one["accept"] === true ? "accepted" : one["code"],
    got: message.type === "fault" ? message.reason : "accepted",
  };
});

const pins = exact("cases", (one) => ({
  expected: { model: one["model"], full: one["full"] },
  got: digestDefinition("tool", textOf(one, "text")),
}));

/** Kinds that the manifest of fixtures/mcp names, but for those of value matches. */
export const mcpKinds: Readonly<Record<string, KindHandler>> = {
  "mcp/definitions-benign": benign,
  "mcp/definitions-labelled": labelled((sample) => scanTool(jsonOf(sample["tool"]))),
  "mcp/results-labelled": labelled((sample) => scanText(textOf(sample, "text"))),
  "mcp/arguments-labelled": labelled((sample) => scanValue(jsonOf(sample["arguments"]), "argument")),
  "mcp/evasions": labelled(evasion),
  "mcp/names": names,
  "mcp/unicode": exact("cases", unicodeCase),
  "mcp/secrets": secrets,
  "mcp/pii-vectors": piiCases("cases", "expect"),
  "mcp/pii": piiCases("samples", "spans"),
  "mcp/strict-json": strictJson,
  "mcp/headers": headerCases,
  "mcp/pins": pins,
};
