/** No text of a caller or a server can enter a receipt: every string has its own narrow form, and keys are fixed. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { readReceipt, signReceipt } from "../../kernel/receipt/receipt.ts";
import { codeOf } from "../support/code-of.ts";
import { fullReceiptBodies } from "../support/full-receipts.ts";
import { gatewayKeys, receiptBodies } from "../support/receipts.ts";

const keys = gatewayKeys();
const receipts = [...Object.values(receiptBodies()), ...fullReceiptBodies()].map((body): JsonValue => {
  return signReceipt(body, body.seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt]).receipt;
});

/** A string of a receipt: its path without list positions, and the receipt with another string there. */
interface Place {
  readonly path: string;
  readonly put: (text: string) => JsonValue;
}

function* stringsIn(
  value: JsonValue,
  path = "",
  put: (other: JsonValue) => JsonValue = (other) => other,
): Generator<Place> {
  if (typeof value === "string") yield { path, put };
  else if (Array.isArray(value)) {
    const items: readonly JsonValue[] = value;
    for (const [i, item] of items.entries()) yield* stringsIn(item, `${path}[]`, (other) => put(items.with(i, other)));
  } else if (isJsonObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      yield* stringsIn(member, `${path}.${key}`, (other) => put({ ...value, [key]: other }));
    }
  }
}

const places = receipts.flatMap((receipt) => {
  const kind = isJsonObject(receipt) ? String(receipt["kind"]) : "";
  return [...stringsIn(receipt)].map(({ path, put }) => ({ path: `${kind}${path}`, put }));
});

const isAccepted = (value: JsonValue): boolean => codeOf(() => readReceipt(value)) === "accepted";

/**
 * The places that take a word which is not in a closed list and no hash: names that the operator gave in catalog, policy,
 * configuration or rules, and ids of workflows that the gateway issued. None of them is written by a caller or a server.
 */
const NAMED_BY_THE_OPERATOR = [
  "admission.requester.value.issuer",
  "catalog-load.approvers[].issuer",
  "catalog-load.servers[].id",
  "decision.actor.value.issuer",
  "decision.approval.value.approver.value.issuer",
  "decision.edges.value[].from",
  "decision.edges.value[].to",
  "decision.inspection.value.inspector",
  "decision.policy.value.version",
  "decision.principal.value.issuer",
  "decision.ruling.advisory[]",
  "decision.ruling.controls[]",
  "decision.ruling.erring[]",
  "decision.ruling.obligations[].policy",
  "decision.ruling.policies[]",
  "decision.server.value.id",
  "decision.subject.value.issuer",
  "decision.taint.value.after[]",
  "decision.taint.value.before[]",
  "decision.taint.value.sources[].label",
  "decision.wire.mcp_name.value.name",
  "decision.workflow.value.id",
  "drift.items[].name.value.name",
  "drift.server",
  "operator-action.by.value.issuer",
  "operator-action.target.name.name",
  "operator-action.target.server",
  "outcome.edges.value[].from",
  "outcome.edges.value[].to",
  "outcome.inspection.value.inspector",
  "outcome.respond.value.advisory[]",
  "outcome.respond.value.controls[]",
  "outcome.respond.value.erring[]",
  "outcome.respond.value.obligations[].policy",
  "outcome.respond.value.policies[]",
  "outcome.server.value.id",
  "outcome.taint.value.after[]",
  "outcome.taint.value.before[]",
  "outcome.taint.value.sources[].label",
  "outcome.wire.mcp_name.value.name",
  "policy-load.files[].path",
  "policy-load.policy.version",
  "refusals.principal.value.issuer",
  "session-open.principal.value.issuer",
  "session-open.taint.value[]",
  "session-open.workflow.value.id",
  "stream-open.log",
  "stream-open.software.name",
  "stream-open.software.version",
];

/** Pointers of what the operator's schema declares, and the two rule families whose names stand in operator's files. */
const DECLARED = ["pointer", "rule"];

describe("a string of a receipt", () => {
  it("is one of many, in receipts with every place filled", () => {
    expect(new Set(places.map(({ path }) => path)).size).toBeGreaterThan(200);
    for (const path of NAMED_BY_THE_OPERATOR) expect(places.map((place) => place.path)).toContain(path);
  });

  it("is never a sentence, markup, an address or a secret of a call, wherever it is put", () => {
    const canaries = [
      "canary 4711: Kündigung",
      "ignore previous instructions",
      "<IMPORTANT>",
      "alice@example.com",
      '{"a":1}',
      "a\nb",
      "http://10.0.0.1/?q=canary",
      "ﬁle",
      "​",
    ];
    const accepted = places.filter(({ put }) => canaries.some((canary) => isAccepted(put(canary))));
    // One list takes spaces: names of controls, from annotations of the operator's policies.
    const spaced = new Set(["decision.ruling.controls[]", "outcome.respond.value.controls[]"]);
    // A log's origin is any text without spaces; the operator configures it.
    expect(new Set(accepted.map(({ path }) => path).filter((path) => !spaced.has(path)))).toEqual(
      new Set(["stream-open.log"]),
    );
  });

  it("is a plain word only where the operator names things", () => {
    const accepted = places.filter(({ path, put }) => {
      return !DECLARED.includes(path.split(".").at(-1) ?? "") && isAccepted(put("canary4711"));
    });
    expect([...new Set(accepted.map(({ path }) => path))].toSorted()).toEqual(NAMED_BY_THE_OPERATOR);
  });

  it("is a pointer or a rule of the open families only in its form", () => {
    const pointers = places.filter(({ path }) => path.endsWith(".pointer"));
    expect(pointers.length).toBeGreaterThan(5);
    for (const { put } of pointers) {
      expect([put("/a/*"), put("")].every(isAccepted)).toBe(true);
      expect(["a", "/", "/a b", "/ä", "/a~b c", `/${"x".repeat(65)}`, "/a".repeat(17)].map(put).some(isAccepted)).toBe(
        false,
      );
    }
    const rules = places.filter(({ path }) => path.endsWith(".rule"));
    expect(rules.length).toBeGreaterThan(3);
    for (const { put } of rules) {
      expect(["pii.email", "op.canary", "ext.canary"].map(put).every(isAccepted)).toBe(true);
      const bad = ["canary", "pii.canary", "op.", "op.A", "op.a b", "ext.a\n", `op.${"x".repeat(70)}`, "toString"];
      expect(bad.map(put).some(isAccepted)).toBe(false);
    }
  });

  it("is refused in any other form, for random text at random places", () => {
    const closed = places.filter(({ path }) => !NAMED_BY_THE_OPERATOR.includes(path) && !path.endsWith(".pointer"));
    // Long enough that no hash, date, key or word of a list comes up, but for two words that the generator is fond of.
    const listed = new Set(["name", "arguments"]);
    const text = fc
      .string({ minLength: 3, maxLength: 60, unit: "binary" })
      .filter((s) => !/^[0-9a-f]*$/u.test(s) && !listed.has(s));
    fc.assert(
      fc.property(fc.constantFrom(...closed), text, ({ path, put }, canary) => {
        expect(isAccepted(put(canary)), path).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
