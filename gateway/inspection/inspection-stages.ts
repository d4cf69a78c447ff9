/**
 * Inspection as stages of the pipeline: before a call its arguments are validated and looked at, after it its answer. Policy sees
 * the rules that fired as `context.system.findings`; what blocks is refused in enforcing mode; receipts hold rules, counts, places.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import type { CallOutcome, CatalogDefinition, InboundCall } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import type {
  Contribution,
  EndedCall,
  EndedStep,
  RequestStage,
  RespondStage,
  ResponseStage,
  TurnLook,
} from "../pipeline/stage.ts";
import { RPC } from "../wire/rpc-error.ts";
import { type CheckSchema, compileSchema, type SchemaAnswer } from "./json-schema.ts";
import { findInMessage, type MessageContext, type MessageFindings } from "./message-findings.ts";
import { partsOfAnswer, partsOfCall, type ToolSchemas } from "./message-parts.ts";
import type { OwnRules } from "./text-findings.ts";

/** What the stages work with. */
export interface InspectionOptions {
  readonly catalog: () => Catalog;
  readonly mode: () => Mode;
  readonly ownRules: OwnRules;
  /** ISO 3166 code whose national telephone numbers are looked for. */
  readonly phoneRegion: string | undefined;
}

/** What is read once from a definition. */
interface ToolFacts extends ToolSchemas {
  readonly checkInput: CheckSchema | undefined;
}

const NO_SCHEMAS: ToolFacts = { input: undefined, output: undefined, checkInput: undefined };

/** The stages that look at data. */
export class InspectionStages {
  readonly #options: InspectionOptions;
  readonly #facts = new WeakMap<CatalogDefinition, ToolFacts>();
  /** Findings of answers between the two looks at them. */
  readonly #answers = new WeakMap<InboundCall, MessageFindings>();
  readonly request: RequestStage;
  readonly response: ResponseStage;
  readonly respond: RespondStage;

  constructor(options: InspectionOptions) {
    this.#options = options;
    this.request = { name: "inspection", begin: (call) => this.#begin(call) };
    this.response = { name: "inspection", end: (ended) => this.#look(ended) };
    this.respond = { name: "inspection", settle: (ended) => this.#settle(ended) };
  }

  #begin(call: InboundCall): TurnLook {
    const definition = this.#definitionOf(call);
    const looked = this.#lookAtCall(call, definition);
    // The catalog may have been listed anew meanwhile: what is decided on is what stands in the receipt.
    return ({ finding }) => (finding.definition === definition ? looked : this.#lookAtCall(call, finding.definition));
  }

  #lookAtCall(call: InboundCall, definition: CatalogDefinition | undefined): Contribution {
    const facts = this.#factsOf(definition);
    const { inspection, rules, blocking } = findInMessage(partsOfCall(call, facts), this.#context("argument"), 0);
    const denials = [...schemaDenials(facts, call), ...blockDenials(blocking)];
    return { denials, system: { findings: [...rules] }, fields: { inspection: present(inspection) } };
  }

  #look({ call, outcome }: EndedCall): EndedStep {
    const answer = readAnswer(outcome);
    if (answer === undefined) return { outcome, look: () => ({ inspection: ABSENT }) };
    const facts = this.#factsOf(this.#definitionOf(call));
    const found = findInMessage(partsOfAnswer(answer, facts), this.#context("result"), outcome.uninspectedBytes);
    this.#answers.set(call, found);
    return { outcome, system: { findings: [...found.rules] }, look: () => ({ inspection: present(found.inspection) }) };
  }

  /** What blocks and was not taken out blocks the answer. */
  #settle({ call, outcome }: EndedCall): EndedStep {
    const blocking = this.#answers.get(call)?.blocking ?? [];
    if (this.#options.mode() !== "enforcing" || blocking.length === 0 || outcome.returned === undefined)
      return { outcome };
    return { outcome: blockedBy(outcome, blocking) };
  }

  #context(surface: MessageContext["surface"]): MessageContext {
    const { ownRules, phoneRegion } = this.#options;
    return { surface, ownRules, ...(phoneRegion === undefined ? {} : { phoneRegion }) };
  }

  #definitionOf({ serverId, target }: InboundCall): CatalogDefinition | undefined {
    return target.kind === "tool" ? this.#options.catalog().find(serverId, "tools", target.name) : undefined;
  }

  #factsOf(definition: CatalogDefinition | undefined): ToolFacts {
    if (definition === undefined) return NO_SCHEMAS;
    const known = this.#facts.get(definition);
    if (known !== undefined) return known;
    const { inputSchema, outputSchema } = definitionValue(definition.text);
    const checkInput = inputSchema === undefined ? undefined : compileSchema(inputSchema);
    const facts = { input: inputSchema, output: outputSchema, checkInput };
    this.#facts.set(definition, facts);
    return facts;
  }
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

/** The outcome of an answer that the agent does not get. A server that answered has acted. */
export function blockedBy({ returned: _, ...outcome }: CallOutcome, rules: readonly string[]): CallOutcome {
  const message = "Inspection found something in the server's answer that a rule blocks.";
  return {
    ...outcome,
    status: "blocked",
    effect: outcome.effect === "none" ? "unknown" : outcome.effect,
    refusal: { rpcCode: RPC.blocked, reason: "inspect.block", policies: [], message, data: { rules: [...rules] } },
  };
}

/** What the agent would get of a server's answer; undefined if the server gave none. */
function readAnswer({ received, returned }: CallOutcome): JsonObject | undefined {
  if (received === undefined || returned === undefined) return undefined;
  try {
    const answer = parseJson(returned, { numbers: "rounded", maxBytes: Number.MAX_SAFE_INTEGER });
    return isJsonObject(answer) ? answer : undefined;
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}
