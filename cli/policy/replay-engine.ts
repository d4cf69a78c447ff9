/** Decides questions again, with the gateway's own evaluator, by policies and catalogs that were disclosed. */

import { schemaSourcesOf } from "../../gateway/catalog/catalog.ts";
import { parseCatalog } from "../../gateway/catalog/catalog-file.ts";
import { evaluate, readQuestion } from "../../gateway/policy/asked-question.ts";
import { type BundleFile, type PolicyBundle, parseBundle } from "../../gateway/policy/bundle.ts";
import type { SchemaSource } from "../../gateway/policy/cedar-schema.ts";
import { makeEvaluator, type PolicyEvaluator } from "../../gateway/policy/evaluator.ts";
import type { BundleCatalog } from "../../kernel/bundle.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { ReplayEngine, ReplayedAnswer } from "../../verifier/replay.ts";

/** The digest of a catalog is over its file without the signatures. */
function unsigned(content: JsonValue): JsonValue {
  if (!isJsonObject(content)) return content;
  const { signatures: _, ...rest } = content;
  return rest;
}

/** Evaluators that are kept: the engine keeps what it has prepared for the life of the thread. */
const MAX_EVALUATORS = 64;

/**
 * An engine over what is disclosed. What does not have the digest that receipts name is never asked for; what cannot be read, or does
 * not fit together, is as if it were not disclosed.
 */
export function makeReplayEngine(
  policies: readonly (readonly BundleFile[])[],
  catalogs: readonly Pick<BundleCatalog, "content">[],
): ReplayEngine {
  const bundles = new Map(policies.flatMap((files) => known(() => parseBundle(files))).map((one) => [one.digest, one]));
  const contents = new Map(
    catalogs.flatMap(({ content }) => {
      const whole = unsigned(content);
      return known(() => [digestFile(canonicalBytes(whole)), schemaSourcesOf(parseCatalog(whole))] as const);
    }),
  );
  const evaluators = new Map<string, readonly PolicyEvaluator[]>();
  const evaluatorOf = (
    bundle: PolicyBundle,
    catalog: string,
    sources: readonly SchemaSource[],
  ): readonly PolicyEvaluator[] => {
    const name = `replay/${bundle.digest}/${catalog}`;
    const before = evaluators.get(name);
    if (before !== undefined) return before;
    if (evaluators.size === MAX_EVALUATORS) evaluators.clear();
    const made = known(() => makeEvaluator(name, bundle, sources));
    evaluators.set(name, made);
    return made;
  };
  return {
    decide: (policy, catalog, question): ReplayedAnswer => {
      const asked = readQuestion(question);
      const [bundle, sources] = [bundles.get(policy), contents.get(catalog)];
      if (bundle === undefined) return { state: "unknown", missing: "policy" };
      if (sources === undefined) return { state: "unknown", missing: "catalog" };
      const [evaluator] = evaluatorOf(bundle, catalog, sources);
      if (evaluator === undefined) return { state: "unknown", missing: "policy" };
      const { allowed, reason, policies: determining, erring, advisory, approvable } = evaluate(evaluator, asked);
      return { state: "answered", allowed, reason, policies: determining, erring, advisory, approvable };
    },
  };
}

/** What can be read, or nothing. */
function known<T>(read: () => T): readonly T[] {
  try {
    return [read()];
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}
