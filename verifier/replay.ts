/**
 * `policy.replay`: decides calls again. A ruling commits to the question that policy was asked; where that question, the request
 * and the files of policy and catalog are disclosed, an engine answers it anew, and the receipt has to say the same. The engine is
 * the caller's: this folder has none. What of the question stands in the receipt or in the request too has to be equal there.
 */

import { parseBase64 } from "../kernel/base64.ts";
import { isCodedError } from "../kernel/errors.ts";
import { formatCanonical } from "../kernel/json/canonical.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../kernel/json/value.ts";
import { type Observed, observedValue } from "../kernel/receipt/observed.ts";
import type { ReceiptOf } from "../kernel/receipt/receipt.ts";
import type { OpenedMember } from "../kernel/receipt/vocabulary.ts";
import type { OpeningVerdict } from "./openings.ts";
import { receiptSubject } from "./read-entries.ts";
import { doubt, type Finding, fault, type Judgement, judge } from "./verdict.ts";

/** What the engine answers. */
export type ReplayedAnswer =
  | {
      readonly state: "answered";
      readonly allowed: boolean;
      readonly reason: string;
      readonly policies: readonly string[];
      readonly erring: readonly string[];
      readonly advisory: readonly string[];
      /** True if an approval lifts the denial. */
      readonly approvable: boolean;
    }
  | { readonly state: "unknown"; readonly missing: "policy" | "catalog" };

/** Decides a question by the files of these digests. */
export interface ReplayEngine {
  /** @throws {FormatError} the question is none */
  readonly decide: (policy: string, catalog: string, question: JsonValue) => ReplayedAnswer;
}

type Decision = ReceiptOf<"decision">;

/** Names of a receipt are cut there (kernel/receipt/fields.ts, MAX_NAMES). */
const MAX_NAMES = 32;
/** What policy denies with; every other reason is another step's. */
const DENIALS: ReadonlySet<string> = new Set([
  "policy.forbid",
  "policy.default-deny",
  "policy.error",
  "policy.engine-failed",
  "policy.request-unmappable",
]);

/** @param engine  undefined: the trust policy asks for it, and nobody can decide */
export function judgeReplay(
  decisions: readonly Decision[],
  openings: readonly OpeningVerdict[],
  engine: ReplayEngine | undefined,
): Judgement {
  if (engine === undefined) return doubt("replay.engine-absent", "bundle", "decide with countersign verify --replay");
  const asked = decisions.filter(wasAsked);
  if (asked.length === 0) return doubt("replay.none", "bundle", `${decisions.length} decisions`);
  const opened = openedBytes(openings);
  const findings = asked.flatMap((decision) => replay(decision, opened, engine));
  const done = asked.length - new Set(findings.map(({ subject }) => subject)).size;
  const detail = `${done} of ${asked.length} decisions decided again`;
  const judged = judge(findings, detail);
  return judged.verdict === "pass" ? judged : { ...judged, detail: `${judged.detail}; ${detail}` };
}

/** What was refused before policy came to it has no question, and nothing was sent. */
function wasAsked({ ruling: { action, reasons, policies, detail }, policy }: Decision): boolean {
  if (policy.state !== "present") return false;
  const isOthers = action === "refuse" && policies.length === 0 && !reasons.some((reason) => DENIALS.has(reason));
  return detail.state === "present" || !isOthers;
}

/** Whole messages and questions that openings show, by receipt and member. */
export function openedBytes(openings: readonly OpeningVerdict[]): ReadonlyMap<string, JsonValue> {
  const opened = new Map<string, JsonValue>();
  for (const { verdict, receipt, member, part, value } of openings) {
    if (verdict !== "pass" || part !== "bytes" || value === undefined) continue;
    const read = readJson(value);
    if (read !== undefined) opened.set(openedKey(receipt, member), read);
  }
  return opened;
}

/** Where `openedBytes` has a member of a receipt. */
export function openedKey(receipt: string, member: OpenedMember): string {
  return `${receipt} ${member}`;
}

function readJson(base64: string): JsonValue | undefined {
  try {
    return parseJson(parseBase64(base64), { maxBytes: Number.MAX_SAFE_INTEGER });
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function replay(decision: Decision, opened: ReadonlyMap<string, JsonValue>, engine: ReplayEngine): readonly Finding[] {
  const subject = receiptSubject(decision);
  if (observedValue(decision.policy)?.session_artifact !== undefined) {
    // Its own Cedar policies had to permit, too: the gateway's bundle alone does not say what was decided.
    return [doubt("replay.policy-not-disclosed", subject, "a session artifact decided beside the bundle")];
  }
  if (decision.ruling.detail.state !== "present") {
    return [doubt("replay.not-committed", subject, "the ruling commits to no question")];
  }
  const question = opened.get(openedKey(subject, "detail"));
  const request = opened.get(openedKey(subject, "request_received"));
  if (question === undefined || request === undefined) {
    const what = question === undefined ? "its question" : "its request";
    return [doubt("replay.inputs-not-disclosed", subject, `${what} is not opened`)];
  }
  const differs = isJsonObject(question) ? firstDifference(decision, question, request) : "form";
  if (differs !== undefined) return [fault("ERR_REPLAY_QUESTION", subject, `it differs in ${differs}`)];
  return answer(decision, question, engine);
}

function answer(decision: Decision, question: JsonValue, engine: ReplayEngine): readonly Finding[] {
  const subject = receiptSubject(decision);
  const [policy, catalog] = [observedValue(decision.policy)?.digest, observedValue(decision.catalog)?.digest];
  try {
    const again = engine.decide(policy ?? "", catalog ?? "", question);
    if (again.state === "unknown") {
      return again.missing === "policy"
        ? [doubt("replay.policy-not-disclosed", subject, `the files of ${policy} are not there`)]
        : [doubt("replay.catalog-not-disclosed", subject, `the catalog ${catalog} is not there`)];
    }
    const wrong = contradiction(decision, again);
    return wrong === undefined ? [] : [fault("ERR_REPLAY_DECISION", subject, wrong)];
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return [fault("ERR_REPLAY_QUESTION", subject, error.message)];
  }
}

/** In what the receipt says otherwise than the engine; undefined if in nothing. */
function contradiction(
  { ruling, approval }: Decision,
  again: Extract<ReplayedAnswer, { readonly state: "answered" }>,
): string | undefined {
  // A receipt that was too large for its place says that alone.
  if (ruling.action === "refuse" && ruling.reasons.includes("receipt.too-large")) return undefined;
  for (const list of ["policies", "erring", "advisory"] as const) {
    const [said, found] = [ruling[list], again[list].slice(0, MAX_NAMES)];
    if (said.join(" ") !== found.join(" ")) {
      return `${list}: the receipt says [${said.join(", ")}], the policy [${found.join(", ")}]`;
    }
  }
  const denied = ruling.reasons.filter((reason) => DENIALS.has(reason));
  if (again.allowed) {
    return denied.length > 0
      ? `the receipt says ${denied.join(", ")}, the policy allows by ${again.reason}`
      : undefined;
  }
  if (denied.length === 1 && denied[0] === again.reason && ruling.judgement !== "allow") return undefined;
  // A denial that an approval lifts, or that waits for one, is told by the approval's own reasons.
  const isLifted = ruling.judgement === "allow" && ruling.step === "approval" && approval.state === "present";
  const isWaiting = ruling.judgement !== "allow" && ruling.reasons.every((reason) => reason.startsWith("approval."));
  if (again.approvable && (isLifted || isWaiting)) return undefined;
  return `the receipt says ${ruling.judgement} by ${ruling.reasons.join(", ")}, the policy denies by ${again.reason}`;
}

/** The first fact of a question that its receipt or its request has otherwise. */
function firstDifference(decision: Decision, question: JsonObject, request: JsonValue): string | undefined {
  const [session, system] = [objectOf(question["session"]), objectOf(question["system"])];
  const place = observedValue(decision.session);
  const definition = observedValue(decision.definition);
  const server = observedValue(decision.server)?.id;
  const pairs: readonly (readonly [string, JsonValue | undefined, JsonValue | undefined])[] = [
    ["server", question["server"], server],
    ["action", question["action"], actionOf(decision, server) ?? question["action"]],
    ["argument", question["argument"], argumentOf(decision, request) ?? question["argument"]],
    ["session.calls", session["calls"], place?.session_seq],
    ["session.trust", session["trust"], place?.trust],
    ["session.source", session["source"], place?.source],
    ["session.taint", session["taint"], orElse(decision.taint, ({ before }) => [...before], session["taint"])],
    ["system.mode", system["mode"], decision.ruling.mode],
    ["system.catalog", system["catalog"], observedValue(decision.catalog)?.digest],
    ["system.toolModel", system["toolModel"], definition?.model ?? ""],
    ["system.workflow", system["workflow"], orElse(decision.workflow, ({ id }) => id, "")],
    ["system.round", system["round"], decision.call.round],
    ["system.findings", system["findings"], orElse(decision.inspection, rulesOf, system["findings"])],
  ];
  return pairs.find(([, asked, said]) => spelled(asked) !== spelled(said))?.[0];
}

function orElse<T>(
  field: Observed<T>,
  read: (value: T) => JsonValue,
  other: JsonValue | undefined,
): JsonValue | undefined {
  return field.state === "present" ? read(field.value) : other;
}

/** Rules that are more than a note, as policy sees them. */
function rulesOf({
  findings,
}: {
  readonly findings: readonly { rule: string; severity: string }[];
}): readonly string[] {
  const rules = findings.filter(({ severity }) => severity !== "info").map(({ rule }) => rule);
  return [...new Set(rules)].sort();
}

/** The action of a method whose receipt names it; undefined of the others. */
function actionOf({ wire }: Decision, server: string | undefined): string | undefined {
  const [method, name] = [observedValue(wire.mcp_method), observedValue(wire.mcp_name)];
  const text = name?.form === "name" ? name.name : undefined;
  if (method === "resources/read") return `read:${server}`;
  if (method === "completion/complete") return `complete:${server}`;
  if (text === undefined) return undefined;
  if (method === "tools/call") return `${server}/${text}`;
  return method === "prompts/get" ? `prompt:${server}/${text}` : undefined;
}

/** The arguments in the opened request, of methods that have them. */
function argumentOf({ wire }: Decision, request: JsonValue): JsonValue | undefined {
  const method = observedValue(wire.mcp_method);
  if (method !== "tools/call" && method !== "prompts/get") return undefined;
  return objectOf(objectOf(request)["params"])["arguments"] ?? {};
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function spelled(value: JsonValue | undefined): string {
  return value === undefined ? "" : formatCanonical(value);
}
