/** Verdicts for people: plain text, at most 100 columns, no colour. The word "verified" stands only where it is true. */

import { parseBase64 } from "../kernel/base64.ts";
import { OBLIGATIONS } from "../kernel/obligation.ts";
import type { OpeningVerdict } from "./openings.ts";
import type { ObligationVerdict, VerificationResult } from "./verify-bundle.ts";

const WIDTH = 100;
const INDENT = "  ";
const VERDICT_WIDTH = "not_established".length;

/** The text that `countersign verify` prints, with its last line end. */
export function renderVerdicts(result: VerificationResult): string {
  const { obligations } = result;
  const width = Math.max(...obligations.map(({ id }) => id.length));
  const group = (title: string, required: boolean): readonly string[] => {
    const rows = obligations.filter((obligation) => obligation.required === required);
    return rows.length === 0 ? [] : ["", title, ...rows.flatMap((row) => renderRow(row, width))];
  };
  const lines = [
    ...renderHead(result),
    ...group("Required by the trust policy", true),
    ...group("Not required", false),
    ...renderOpenings(result),
    "",
    ...renderNow(result, width),
    ...renderConclusion(result).flatMap((text) => wrap(text, "")),
  ];
  return `${lines.join("\n")}\n`;
}

function renderHead({ summary, at }: VerificationResult): readonly string[] {
  const { entries, receipts, decisions, forwarded, sealed_sessions: sessions } = summary;
  const held = [
    plural(entries, "entry", "entries"),
    plural(receipts, "receipt"),
    `${plural(decisions, "decision")} (${forwarded} sent, ${decisions - forwarded} not)`,
    plural(sessions, "sealed session"),
  ].join(", ");
  return [
    `Evidence bundle ${summary.digest}`,
    ...field("holds", held),
    ...summary.logs.flatMap((log) => field("log", `${log}${endOf(summary, log)}`)),
    ...summary.streams.flatMap((stream) => field("stream", `${stream}${windowsOf(summary, stream)}`)),
    ...field("judged", judgedAt(at)),
  ];
}

/** How the log has ended, if the bundle holds its word for that. */
function endOf({ ended_logs: ended = [] }: VerificationResult["summary"], log: string): string {
  const found = ended.find(({ origin }) => origin === log);
  return found === undefined ? "" : `, ${found.end} at size ${found.final_size}`;
}

function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Which receipts of a stream are declared to be all there. */
function windowsOf({ windows }: VerificationResult["summary"], stream: string): string {
  const own = windows.filter((window) => window.stream === stream);
  if (own.length === 0) return ", single receipts";
  return own.map(({ first_seq, last_seq }) => `, receipts ${first_seq} to ${last_seq}`).join("");
}

function judgedAt(at: VerificationResult["at"]): string {
  switch (at.source) {
    case "witnesses":
      return `as of ${at.time}, when a quorum of witnesses had seen the entries`;
    case "caller":
      return `as of ${at.time}, as given`;
    case "none":
      return "as of no time: no quorum of pinned witnesses has seen all entries";
  }
}

function field(name: string, text: string): readonly string[] {
  return wrap(`${name.padEnd(7)} ${text}`, INDENT);
}

function renderRow(row: ObligationVerdict, width: number): readonly string[] {
  const lead = `${INDENT}${row.id.padEnd(width)}  ${row.verdict.padEnd(VERDICT_WIDTH)}  `;
  const [first = "", ...more] = wrapWords(explain(row), WIDTH - lead.length);
  return [`${lead}${first}`.trimEnd(), ...more.map((line) => `${" ".repeat(lead.length)}${line}`)];
}

function renderOpenings({ openings = [] }: VerificationResult): readonly string[] {
  if (openings.length === 0) return [];
  return ["", "Openings", ...openings.flatMap((row) => wrap(printable(explainOpening(row)), INDENT))];
}

function explainOpening(row: OpeningVerdict): string {
  const { member, part, verdict } = row;
  const lead = `${shorten(row.receipt)} ${member}${part === undefined ? "" : ` ${part}`}: ${verdict}`;
  switch (row.verdict) {
    case "pass":
      return part === "bytes" ? `${lead}, ${bytesOf(row)} bytes` : `${lead}, ${row.value ?? ""}`;
    case "fail":
      return `${lead}, ${row.code}: ${row.detail}`;
    case "not_established":
      return `${lead}, ${row.reason}: ${row.detail}`;
  }
}

function bytesOf({ value = "" }: OpeningVerdict): number {
  return parseBase64(value).length;
}

function explain(row: ObligationVerdict): string {
  switch (row.verdict) {
    case "pass":
      return OBLIGATIONS[row.id];
    case "fail":
      return `${row.code}: ${locate(row)}`;
    case "not_established":
      return `${row.reason}: ${locate(row)}`;
  }
}

function locate({ subject, detail, count }: Exclude<ObligationVerdict, { readonly verdict: "pass" }>): string {
  return printable(`${shorten(subject)}: ${detail}${count > 1 ? ` (and ${count - 1} more)` : ""}`);
}

/** Names out of a bundle may stand in a detail: nothing that a terminal obeys, hides or turns round gets through. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** Stream ids and digests are shortened to what a reader can compare; the JSON form has them whole. */
function shorten(text: string): string {
  return text.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{52}\b/gu, "$1…");
}

function renderNow({ status_now: now, obligations }: VerificationResult, width: number): readonly string[] {
  const changed = (now?.obligations ?? []).filter(
    ({ id, verdict }) => obligations.find((judged) => judged.id === id)?.verdict !== verdict,
  );
  if (now === undefined || changed.length === 0) return [];
  return [
    `If it were judged now (${now.time}); this changes no verdict`,
    ...changed.flatMap((row) => renderRow(row, width)),
    "",
  ];
}

function renderConclusion(result: VerificationResult): readonly string[] {
  return [...conclusion(result), ...aboutKeys(result)];
}

function conclusion({ exit, verified, obligations, openings = [] }: VerificationResult): readonly string[] {
  const required = [...obligations.filter((row) => row.required), ...openings];
  const what = openings.length === 0 ? "required obligations" : "required obligations and openings";
  const open = required.filter(({ verdict }) => verdict === "not_established").length;
  const failed = required.filter(({ verdict }) => verdict === "fail").length;
  if (exit === 1) return [`FAILED: ${failed} of ${required.length} ${what} fail.`];
  if (exit === 2) return [`NOT ESTABLISHED: ${open} of ${required.length} ${what} could not be established.`];
  if (verified) return [`Verified: all ${required.length} ${what} pass under the keys that the trust policy pins.`];
  return [
    `All ${required.length} ${what} pass, but not all of log key, witnesses and gateway were pinned and ` +
      "checked: nobody stands for this evidence.",
  ];
}

function aboutKeys({ summary }: VerificationResult): readonly string[] {
  if (!summary.key_protections.includes("software")) return [];
  return [
    "The gateway declares software keys: whoever controls its machine can sign receipts. No hardware speaks for them.",
  ];
}

function wrap(text: string, indent: string): readonly string[] {
  return wrapWords(text, WIDTH - indent.length).map((line) => `${indent}${line}`);
}

function wrapWords(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((each) => cut(each, width))) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A word in pieces that fit; nearly always the word itself. */
function cut(word: string, width: number): readonly string[] {
  if (word.length <= width) return [word];
  return [word.slice(0, width), ...cut(word.slice(width), width)];
}
