/**
 * Inspection as stages of the pipeline: before a call its arguments are validated and looked at, after it its answer. Policy sees
 * the rules that fired as `context.system.findings`; what blocks is refused in enforcing mode; receipts hold rules, counts, places.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { constant } from "../../kernel/json/constant.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Finding, Inspection } from "../../kernel/receipt/inspection.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { dataClassOf, type ResultNeeds } from "../catalog/data-class.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import { Given } from "../given.ts";
import type { CallOutcome, CallRefusal, CatalogDefinition, InboundCall } from "../pipeline/call.ts";
import { carriedOut, type Denial, type Judged } from "../pipeline/judge.ts";
import type {
  CallTurn,
  Contribution,
  EndedCall,
  EndedStep,
  ObligationStage,
  RequestStage,
  RespondStage,
  ResponseStage,
  Settlement,
  StreamStage,
  TurnLook,
} from "../pipeline/stage.ts";
import type { StreamWatch } from "../pipeline/stream-watch.ts";
import type { PolicyAnswer } from "../policy/evaluator.ts";
import { toolActionIds } from "../policy/tool-action.ts";
import { messageValue } from "../wire/message-value.ts";
import { RPC } from "../wire/rpc-error.ts";
import { type CheckSchema, compileSchema, type SchemaAnswer } from "./json-schema.ts";
import {
  findInMessage,
  INSPECTOR,
  type MessageContext,
  type MessageFindings,
  type MessagePart,
} from "./message-findings.ts";
import { partsOfAnswer, partsOfCall, type ToolSides, toolSides } from "./message-parts.ts";
import { NEUTRALISED } from "./neutralise.ts";
import { isOrdered, redactionsOf, redactMessage } from "./redact.ts";
import { mostItems } from "./result-needs.ts";
import { partOfNotification } from "./stream-parts.ts";
import type { OwnRules } from "./text-findings.ts";

/** What the stages work with. */
export interface InspectionOptions {
  readonly catalog: () => Catalog;
  /** Of a call; of what belongs to no call if there is none. */
  readonly mode: (call?: InboundCall) => Mode;
  readonly ownRules: OwnRules;
  /** ISO 3166 code whose national telephone numbers are looked for. */
  readonly phoneRegion: string | undefined;
  /** Of tools by `<server>/<tool>`: whether what they say during a call waits for their answer. */
  readonly modes?: Readonly<Record<string, StreamMode>>;
  /** True if a policy speaks of results of the tool. */
  readonly hasRespond?: (action: string, call: InboundCall) => boolean;
}

/** How what a tool says during a call is passed on. */
export type StreamMode = "buffered" | "streaming";

/** What is read once from a definition. */
interface ToolFacts extends ToolSides {
  readonly checkInput: CheckSchema | undefined;
  readonly checkOutput: CheckSchema | undefined;
}

const NO_NEEDS: ResultNeeds = {};
const NO_SCHEMAS: ToolFacts = { ...toolSides(undefined, undefined), checkInput: undefined, checkOutput: undefined };

/** A message that was looked at. */
interface Looked {
  readonly facts: ToolFacts;
  readonly parts: readonly MessagePart[];
  readonly found: MessageFindings;
}

/** What was found in a call, between the looks at it. */
interface CallLooks {
  call: Looked | undefined;
  answer: Looked | undefined;
  /** For which its stream was cut. */
  cut: MessageFindings | undefined;
}

/** A call that was looked at. */
class LookedCall extends Given {
  readonly #looks: CallLooks;

  constructor(call: InboundCall, looks: CallLooks) {
    super(call);
    this.#looks = looks;
  }

  static looksAt(call: InboundCall): CallLooks | undefined {
    return #looks in call ? call.#looks : undefined;
  }
}

function looksAt(call: InboundCall): CallLooks {
  const known = LookedCall.looksAt(call);
  if (known !== undefined) return known;
  const looks = { call: undefined, answer: undefined, cut: undefined };
  new LookedCall(call, looks);
  return looks;
}

/** The stages that look at data. */
export class InspectionStages {
  readonly #options: InspectionOptions;
  /** With what the texts of a call and of its answer are looked at. */
  readonly #contexts: Readonly<Record<"argument" | "result", MessageContext>>;
  readonly #facts = new WeakMap<CatalogDefinition, ToolFacts>();
  readonly request: RequestStage;
  readonly response: ResponseStage;
  readonly obligation: ObligationStage;
  readonly respond: RespondStage;
  readonly stream: StreamStage;

  constructor(options: InspectionOptions) {
    this.#options = options;
    const { ownRules, phoneRegion } = options;
    const known = { ownRules, ...(phoneRegion === undefined ? {} : { phoneRegion }) };
    this.#contexts = { argument: { ...known, surface: "argument" }, result: { ...known, surface: "result" } };
    this.request = { name: "inspection", begin: (call) => this.#begin(call) };
    this.response = { name: "inspection", end: (ended) => this.#look(ended) };
    this.obligation = {
      name: "redaction",
      carriesOut: ["redact", "neutralise"],
      settle: (turn, answer, settlement) => this.#settleCall(turn, answer, settlement),
    };
    this.stream = {
      name: "inspection",
      watch: (call) => this.#watch(call),
      mayTell: (notification) =>
        this.#options.mode() !== "enforcing" || this.#findIn(notification)?.blocking.length === 0,
    };
    this.respond = {
      name: "inspection",
      carriesOut: ["redact", "neutralise"],
      settle: (ended, answer) => this.#settleAnswer(ended, answer),
    };
  }

  #begin(call: InboundCall): TurnLook {
    const definition = this.#definitionOf(call);
    const looked = this.#lookAtCall(call, definition);
    // The catalog may have been listed anew meanwhile: what is decided on is what stands in the receipt.
    return ({ finding }) => (finding.definition === definition ? looked : this.#lookAtCall(call, finding.definition));
  }

  #lookAtCall(call: InboundCall, definition: CatalogDefinition | undefined): Contribution {
    const facts = this.#factsOf(definition);
    const parts = partsOfCall(call, facts);
    const found = findInMessage(parts, this.#contexts.argument, 0);
    looksAt(call).call = { facts, parts, found };
    const { inspection, rules, blocking } = found;
    const denials = [...schemaDenials(facts, call), ...blockDenials(blocking)];
    return { denials, system: { findings: [...rules] }, fields: { inspection: reported(inspection) } };
  }

  /**
   * Parts of a call's stream. What blocks cuts it in enforcing mode. Where policies speak of the tool's results, everything waits for
   * the answer, and a part in which anything was found is left out: an obligation to take it out would not reach it.
   */
  #watch(call: InboundCall): StreamWatch {
    const { modes = {}, hasRespond, mode } = this.#options;
    const { serverId, target } = call;
    // Only tools are few and known: an agent names whatever resources it likes.
    const ids = target.kind === "tool" ? toolActionIds(serverId, target.name) : undefined;
    const isJudged = ids !== undefined && hasRespond?.(ids.respond, call) === true;
    const configured = ids !== undefined && Object.hasOwn(modes, ids.call) ? modes[ids.call] : undefined;
    return {
      isBuffered: isJudged || configured === "buffered",
      look: (notification) => {
        if (mode(call) !== "enforcing") return { type: "pass" };
        const found = this.#findIn(notification);
        if (found === undefined) return { type: "drop" };
        if (found.blocking.length === 0) return { type: isJudged && found.rules.length > 0 ? "drop" : "pass" };
        looksAt(call).cut = found;
        return { type: "cut", refusal: refusalOf(found.blocking) };
      },
    };
  }

  /** @returns undefined if it cannot be read */
  #findIn(notification: Uint8Array): MessageFindings | undefined {
    const part = partOfNotification(notification);
    return part === undefined ? undefined : findInMessage([part], this.#contexts.result, 0);
  }

  #look({ call, outcome }: EndedCall): EndedStep {
    const looks = looksAt(call);
    const { cut } = looks;
    if (cut !== undefined) return { outcome, look: () => ({ inspection: present(cut.inspection) }) };
    const answer = readAnswer(outcome);
    if (answer === undefined) return { outcome, look: () => ({ inspection: ABSENT }) };
    const facts = this.#factsOf(this.#definitionOf(call));
    const needs = this.#needsOf(call);
    const parts = partsOfAnswer(answer, facts, needs);
    const whole = bytesFinding(outcome, needs);
    const found = findInMessage(parts, this.#contexts.result, outcome.uninspectedBytes, whole);
    looks.answer = { facts, parts, found };
    const system = { findings: [...found.rules], ...this.#itemsOf(call, answer) };
    return { outcome, system, look: () => ({ inspection: reported(found.inspection) }) };
  }

  #needsOf({ serverId, target }: InboundCall): ResultNeeds {
    const tool = target.kind === "tool" ? target.name : undefined;
    const data = this.#options.catalog().entry(serverId)?.data;
    return data === undefined ? NO_NEEDS : (dataClassOf(data, tool).results ?? NO_NEEDS);
  }

  /** Counted for policies about results alone. */
  #itemsOf(call: InboundCall, { result }: JsonObject): { readonly items?: number } {
    const { serverId, target } = call;
    const isAsked =
      target.kind === "tool" && this.#options.hasRespond?.(toolActionIds(serverId, target.name).respond, call);
    return isAsked === true && isJsonObject(result) ? { items: mostItems(result) } : {};
  }

  /** Takes out of what is sent what the permits want out of it; what cannot be taken out is not sent. */
  #settleCall({ call, secret }: CallTurn, answer: PolicyAnswer, settlement: Settlement): Settlement {
    const looked = LookedCall.looksAt(call)?.call;
    const isDue = settlement.judged.ruling.action === "forward" && this.#options.mode(call) === "enforcing";
    if (!isDue || looked === undefined || !isOrder(answer)) return settlement;
    const { facts, parts, found } = looked;
    const done = redactMessage(settlement.toSend, parts, found.places, answer, ({ params }) => {
      const given = isJsonObject(params) ? params["arguments"] : undefined;
      return facts.checkInput === undefined || facts.checkInput(given ?? {}) === "valid";
    });
    if (done.kind === "failed") return { ...settlement, judged: refusedFor(settlement.judged) };
    const judged = kindsOf(answer).reduce(carriedOut, settlement.judged);
    const fields = { ...settlement.fields, redactions: redactionsOf(secret, done.removals, parts) };
    return { ...settlement, judged, toSend: done.bytes, fields };
  }

  /** Takes out of an answer what the permits want out of it. What blocks and was not taken out blocks the answer. */
  #settleAnswer({ call, outcome }: EndedCall, answer: PolicyAnswer | undefined): EndedStep {
    const looked = LookedCall.looksAt(call)?.answer;
    const { returned } = outcome;
    if (this.#options.mode(call) !== "enforcing" || looked === undefined || returned === undefined) return { outcome };
    const { facts, parts, found } = looked;
    if (answer === undefined || !answer.allowed || !isOrder(answer)) {
      return { outcome: found.blocking.length === 0 ? outcome : blockedBy(outcome, found.blocking) };
    }
    const done = redactMessage(returned, parts, found.places, answer, ({ result }) => {
      const content = isJsonObject(result) ? result["structuredContent"] : undefined;
      return content === undefined || facts.checkOutput === undefined || facts.checkOutput(content) === "valid";
    });
    if (done.kind === "failed") return { outcome: blockedBy(outcome, found.blocking, "inspect.redact-failed") };
    const isShort = done.bytes.length <= (this.#needsOf(call).bytes ?? Number.POSITIVE_INFINITY);
    const left = found.blocking.filter((rule) => {
      if (rule === "surplus.bytes") return !isShort;
      return !isOrdered(answer, rule) && !(answer.neutralise && NEUTRALISED.has(rule));
    });
    const isChanged = done.bytes !== returned;
    const now: CallOutcome = isChanged
      ? { ...outcome, returned: done.bytes, status: redactedStatus(outcome) }
      : outcome;
    return {
      outcome: left.length === 0 ? now : blockedBy(outcome, left),
      carriedOut: kindsOf(answer),
      look: ({ secret }) => ({ redactions: redactionsOf(secret, done.removals, parts) }),
    };
  }

  #definitionOf({ serverId, target }: InboundCall): CatalogDefinition | undefined {
    return target.kind === "tool" ? this.#options.catalog().find(serverId, "tools", target.name) : undefined;
  }

  #factsOf(definition: CatalogDefinition | undefined): ToolFacts {
    if (definition === undefined) return NO_SCHEMAS;
    const known = this.#facts.get(definition);
    if (known !== undefined) return known;
    const { inputSchema, outputSchema } = definitionValue(definition.text);
    const compiled = (schema: JsonValue | undefined): CheckSchema | undefined =>
      schema === undefined ? undefined : compileSchema(schema);
    const checks = { checkInput: compiled(inputSchema), checkOutput: compiled(outputSchema) };
    const facts = { ...toolSides(inputSchema, outputSchema), ...checks };
    this.#facts.set(definition, facts);
    return facts;
  }
}

function reported(inspection: Inspection): { readonly state: "present"; readonly value: Inspection } {
  return inspection.findings.length === 0 && inspection.uninspected_bytes === 0 ? NOTHING_FOUND : present(inspection);
}

const NOTHING_FOUND: { readonly state: "present"; readonly value: Inspection } = constant(
  present({ inspector: INSPECTOR, findings: [], uninspected_bytes: 0 }),
);

/** Bytes are not taken out by themselves: what is left after everything else was is judged again. */
function bytesFinding({ returned }: CallOutcome, { bytes }: ResultNeeds): readonly Finding[] {
  const over = bytes === undefined || returned === undefined ? 0 : returned.length - bytes;
  return over > 0 ? [{ rule: "surplus.bytes", severity: "block", pointer: "", count: over }] : [];
}

const SCHEMA_WORDS: Readonly<Record<Exclude<SchemaAnswer, "valid">, string>> = {
  invalid: "The arguments are not those of the tool's input schema.",
  unusable: "The tool's input schema cannot be evaluated within the bounds, so no arguments are accepted.",
};

function schemaDenials({ checkInput }: ToolFacts, { target, params }: InboundCall): readonly Denial[] {
  if (checkInput === undefined || target.kind !== "tool") return [];
  const answer = checkInput(params["arguments"] ?? {});
  if (answer === "valid") return [];
  return [{ step: "inspect", reason: "args.schema", rpcCode: RPC.invalidParams, message: SCHEMA_WORDS[answer] }];
}

function blockDenials(rules: readonly string[]): readonly Denial[] {
  if (rules.length === 0) return [];
  const message = "Inspection found something in the arguments that a rule blocks.";
  return [{ step: "inspect", reason: "inspect.block", rpcCode: RPC.blocked, message, data: { rules: [...rules] } }];
}

function isOrder({ redact, neutralise }: PolicyAnswer): boolean {
  return redact.length > 0 || neutralise;
}

function kindsOf({ redact, neutralise }: PolicyAnswer): readonly ("redact" | "neutralise")[] {
  return [...(redact.length > 0 ? (["redact"] as const) : []), ...(neutralise ? (["neutralise"] as const) : [])];
}

/** An error of a tool stays one. */
function redactedStatus({ status }: CallOutcome): CallOutcome["status"] {
  return status === "ok" ? "redacted" : status;
}

function refusedFor({ ruling }: Judged): Judged {
  const message = "The policy wants something taken out of the arguments that cannot be taken out.";
  return {
    ruling: { ...ruling, action: "refuse", judgement: "deny", step: "inspect", reasons: ["inspect.redact-failed"] },
    refusal: { rpcCode: RPC.blocked, reason: "inspect.redact-failed", policies: ruling.policies ?? [], message },
  };
}

/** The outcome of an answer that the agent does not get. A server that answered has acted. */
function blockedBy(
  { returned: _, ...outcome }: CallOutcome,
  rules: readonly string[],
  reason: "inspect.block" | "inspect.redact-failed" = "inspect.block",
): CallOutcome {
  const effect = outcome.effect === "none" ? "unknown" : outcome.effect;
  return { ...outcome, status: "blocked", effect, refusal: refusalOf(rules, reason) };
}

function refusalOf(
  rules: readonly string[],
  reason: "inspect.block" | "inspect.redact-failed" = "inspect.block",
): CallRefusal {
  const message = "Inspection found something in the server's answer that a rule blocks.";
  return { rpcCode: RPC.blocked, reason, policies: [], message, data: { rules: [...rules] } };
}

/** What the agent would get of a server's answer; undefined if the server gave none. */
function readAnswer({ received, returned }: CallOutcome): JsonObject | undefined {
  if (received === undefined || returned === undefined) return undefined;
  try {
    const { value: answer } = messageValue(returned);
    return isJsonObject(answer) ? answer : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
