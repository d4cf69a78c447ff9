/** Explains an answer in words: which policies, what they say, and what would have changed it. */

import type { BundlePolicy, PolicyBundle } from "../../gateway/policy/bundle.ts";
import type { PolicyEvaluator } from "../../gateway/policy/evaluator.ts";
import { kindsOf } from "../../gateway/policy/obligations.ts";
import { type AskedRequest, decidingFacts, literalsOf, questionFor } from "../../gateway/policy/policy-cases.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import { parseReceipt } from "../../kernel/receipt/receipt.ts";

/** The answer to a request. */
export function renderExplanation(bundle: PolicyBundle, evaluator: PolicyEvaluator, asked: AskedRequest): string {
  const answer = evaluator.evaluate(questionFor(asked));
  const words = [...bundle.policies.values()].flatMap(({ json }) => literalsOf(json.conditions));
  const facts = decidingFacts(evaluator, asked, [...new Set(words)]);
  return lines([
    `${answer.allowed ? "allowed" : "denied"}: ${answer.reason}${answer.approvable ? "; an approval lifts it" : ""}`,
    ...named("determined by", bundle, answer.policies),
    ...named("failed in", bundle, answer.erring),
    ...named("noted by", bundle, answer.advisory),
    facts.length === 0 ? "no single fact that was tried would change it" : "each of these alone would change it:",
    ...facts.map(({ fact, from, to, allowed }) => `  ${fact}: ${from} -> ${to}: ${allowed ? "allowed" : "denied"}`),
  ]);
}

/**
 * The ruling of a decision receipt. The receipt holds no arguments, so what they were is not said.
 *
 * @throws {FormatError} ERR_SHAPE if it is not a receipt
 */
export function renderReceipt(bundle: PolicyBundle, value: JsonObject): string {
  const receipt = parseReceipt(canonicalBytes(value));
  if (receipt.kind !== "decision") return "";
  const { ruling, policy } = receipt;
  const digest = observedValue(policy)?.digest;
  const isOther = digest !== bundle.digest;
  return lines([
    `${ruling.action}, judged ${ruling.judgement} in mode ${ruling.mode} at ${ruling.step}: ${ruling.reasons.join(", ")}`,
    ...(isOther ? [`the receipt names the bundle ${digest ?? "none"}; this one is ${bundle.digest}`] : []),
    ...named("determined by", bundle, ruling.policies),
    ...named("failed in", bundle, ruling.erring),
    ...named("noted by", bundle, ruling.advisory),
    ...ruling.obligations.map(
      ({ policy: id, kind, applied }) => `${kind} of ${id}: ${applied ? "carried out" : "not carried out"}`,
    ),
  ]);
}

function named(what: string, bundle: PolicyBundle, ids: readonly string[]): readonly string[] {
  return ids.flatMap((id) => [`${what} ${id}`, ...describe(bundle.policies.get(id))]);
}

function describe(policy: BundlePolicy | undefined): readonly string[] {
  if (policy === undefined) return ["  which is not in this bundle"];
  const { reason, controls } = policy.notes;
  const kinds = kindsOf(policy.notes);
  return [
    ...(reason === undefined ? [] : [`  reason: ${reason}`]),
    ...(controls.length === 0 ? [] : [`  controls: ${controls.join(", ")}`]),
    ...(kinds.length === 0 ? [] : [`  obliges to: ${kinds.join(", ")}`]),
    ...policy.text.split("\n").map((line) => `  | ${line}`),
  ];
}

function lines(all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
