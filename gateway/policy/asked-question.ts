/**
 * The question that policy was asked, as bytes (docs/formats/policy-question.md): what a ruling commits to, so that whoever is
 * given it, the policy and the catalog can decide the call again.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { array, json, jsonObject, literal, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { CedarValueJson } from "./cedar.ts";
import { PARENT_TYPES, PRINCIPAL_TYPES } from "./cedar-schema.ts";
import {
  deniedBy,
  type PolicyAnswer,
  type PolicyEvaluator,
  type PolicyPrincipal,
  type PolicyRequest,
} from "./evaluator.ts";

/** Policy's answer, and what it was asked; undefined if there was nothing to ask. */
export interface AskedPolicy {
  readonly answer: PolicyAnswer;
  readonly question?: PolicyRequest;
}

/** Asks policy about an action. Whatever goes wrong on the way is a denial. */
export function askPolicy(
  evaluator: PolicyEvaluator,
  actionId: string | undefined,
  makeQuestion: (actionId: string) => PolicyRequest,
): AskedPolicy {
  // Without an action no policy can permit, and there is nothing to ask.
  if (actionId === undefined || !evaluator.hasAction(actionId)) return { answer: deniedBy("policy.default-deny") };
  try {
    const question = makeQuestion(actionId);
    return { answer: evaluate(evaluator, question), question };
  } catch (error) {
    return { answer: faultAnswer(error) };
  }
}

/** The answer to a question, as the gateway would give it. */
export function evaluate(evaluator: PolicyEvaluator, question: PolicyRequest): PolicyAnswer {
  if (!evaluator.hasAction(question.actionId)) return deniedBy("policy.default-deny");
  try {
    return evaluator.evaluate(question);
  } catch (error) {
    return faultAnswer(error);
  }
}

function faultAnswer(error: unknown): PolicyAnswer {
  return deniedBy(isCodedError(error) ? "policy.request-unmappable" : "policy.engine-failed");
}

interface QuestionFile {
  readonly kind: "policy-question";
  readonly v: 1;
  readonly principal: PolicyPrincipal;
  readonly action: string;
  readonly server: string;
  readonly argument: JsonValue;
  readonly session: JsonObject;
  readonly system: JsonObject;
}

const text: Shape<string> = string({ maxLength: 4096 });
const questionShape: Shape<QuestionFile> = object<QuestionFile>({
  kind: literal("policy-question"),
  v: literal(1),
  principal: object<PolicyPrincipal>({
    type: literal(...PRINCIPAL_TYPES),
    id: text,
    parents: array(object<PolicyPrincipal["parents"][number]>({ type: literal(...PARENT_TYPES), id: text }), {
      max: 1024,
    }),
    attributes: object<PolicyPrincipal["attributes"]>({ issuer: text, name: text, provenance: text, outcome: text }),
  }),
  action: text,
  server: text,
  argument: json(),
  session: jsonObject(),
  system: jsonObject(),
});

/** The bytes of a question about a call; undefined of one that canonical JSON cannot spell, to which nothing commits. */
export function formatQuestion(question: PolicyRequest): Uint8Array | undefined {
  try {
    return questionBytes(question);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

function questionBytes({ principal, actionId, serverId, argument, session, system }: PolicyRequest): Uint8Array {
  const { type, id, parents, attributes } = principal;
  return canonicalBytes({
    kind: "policy-question",
    v: 1,
    principal: { type, id, parents: parents.map((parent) => ({ ...parent })), attributes: { ...attributes } },
    action: actionId,
    server: serverId,
    argument,
    session: jsonOf(session),
    system: jsonOf(system),
  });
}

/** Reads a question. @throws {FormatError} ERR_SHAPE */
export function readQuestion(value: JsonValue): PolicyRequest {
  const { principal, action, server, argument, session, system } = readShape(questionShape, value, "question");
  return {
    principal,
    actionId: action,
    serverId: server,
    argument,
    session: cedarOf(session),
    system: cedarOf(system),
  };
}

/** Values of the engine are JSON. */
function jsonOf(members: Readonly<Record<string, CedarValueJson>>): JsonObject {
  const read: (text: string) => JsonObject = JSON.parse;
  return read(JSON.stringify(members));
}

function cedarOf(members: JsonObject): Readonly<Record<string, CedarValueJson>> {
  const read: (text: string) => Readonly<Record<string, CedarValueJson>> = JSON.parse;
  return read(JSON.stringify(members));
}
