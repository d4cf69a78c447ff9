/** Obligations: what annotations mean, what an answer asks for, and that a run refuses what nothing carries out. */

import { describe, expect, it } from "vitest";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import { checkCarriedOut } from "../../gateway/policy/obligations.ts";
import { codeOf } from "../support/code-of.ts";
import { answerTo, bundleFiles } from "../support/policy-request.ts";

const ECHO = { type: "object", properties: { message: { type: "string" } }, required: ["message"] };
const SCOPE = '(principal, action == Mcp::Action::"s/echo", resource)';
const PERMIT = `@id("allow") permit ${SCOPE};`;

function answer(cedar: string): ReturnType<typeof answerTo> {
  return answerTo(cedar, ECHO, { message: "hi" });
}

describe("annotations", () => {
  it.each([
    ["an unknown one", '@id("a") @quietly("on") permit'],
    ["an unknown decision", '@id("a") @decision("maybe") forbid'],
    ["an approval on a permit", '@id("a") @decision("require-approval") permit'],
    ["approvers without an approval", '@id("a") @approvers("role:dpo") forbid'],
    ["approvers beside advisory", '@id("a") @decision("advisory") @approvers("role:dpo") forbid'],
    ["an approver of no kind", '@id("a") @decision("require-approval") @approvers("everybody") forbid'],
    ["a time of no unit", '@id("a") @decision("require-approval") @ttl("15") forbid'],
    ["no time", '@id("a") @decision("require-approval") @ttl("0m") forbid'],
    ["a time above a day", '@id("a") @decision("require-approval") @ttl("25h") forbid'],
    ["a redaction on a forbid", '@id("a") @redact("pii.*") forbid'],
    ["a redaction by a rule that nothing has", '@id("a") @redact("pii.shoe-size") permit'],
    ["a redaction by a family that nothing has", '@id("a") @redact("shoe.*") permit'],
    ["an empty redaction", '@id("a") @redact("") permit'],
    ["neutralise off", '@id("a") @neutralise("off") permit'],
    ["neutralise on a forbid", '@id("a") @neutralise("on") forbid'],
    ["a label of no form", '@id("a") @taint("Very Secret") permit'],
    ["a label on a forbid", '@id("a") @taint("phi") forbid'],
  ])("refuse %s", (_, head) => {
    expect(codeOf(() => parseBundle(bundleFiles(`${head} ${SCOPE};`)))).toBe("ERR_POLICY_BUNDLE");
  });

  it("have a time of fifteen minutes and no named approvers by default", () => {
    const { policies } = parseBundle(bundleFiles(`@id("a") @decision("require-approval") forbid ${SCOPE};`));
    expect(policies.get("a")?.notes.approval).toEqual({ approvers: [], ttlSeconds: 900 });
  });
});

describe("an answer", () => {
  const ASK = `@id("ask") @decision("require-approval") @approvers("role:dpo, group:night") @ttl("2h") forbid ${SCOPE};`;

  it("is approvable if every determining forbid wants an approval, and names who and how long", () => {
    expect(answer(PERMIT + ASK)).toMatchObject({
      allowed: false,
      reason: "policy.forbid",
      approvable: true,
      approvals: [{ policy: "ask", approvers: ["role:dpo", "group:night"], ttlSeconds: 7200 }],
      obligations: [{ policy: "ask", kind: "require-approval" }],
    });
  });

  it("is not approvable if one forbid is plain", () => {
    const stop = `@id("stop") forbid ${SCOPE};`;
    expect(answer(PERMIT + ASK + stop)).toMatchObject({ allowed: false, approvable: false, approvals: [] });
  });

  it("is not approvable if nothing permits, nothing forbids", () => {
    const other = `@id("other") permit ${SCOPE} when { context.input.message == "no" };`;
    expect(answer(other)).toMatchObject({ allowed: false, reason: "policy.default-deny", approvable: false });
  });

  it("is not approvable if a policy erred", () => {
    const bad = `@id("bad") permit ${SCOPE} when { 9223372036854775807 + context.system.argumentBytes == 4 };`;
    expect(answer(PERMIT + ASK + bad)).toMatchObject({ reason: "policy.error", approvable: false, approvals: [] });
  });

  it("unites redactions and labels of all determining permits; a permit without them cancels none", () => {
    const one = `@id("one") @redact("pii.*") @taint("phi") permit ${SCOPE};`;
    const two = `@id("two") @redact("secret.jwt, pii.*") @neutralise("on") @taint("phi, web") permit ${SCOPE};`;
    expect(answer(PERMIT + one + two)).toMatchObject({
      allowed: true,
      redact: ["pii.*", "secret.jwt"],
      neutralise: true,
      taint: ["phi", "web"],
      obligations: [
        { policy: "one", kind: "redact" },
        { policy: "one", kind: "taint" },
        { policy: "two", kind: "neutralise" },
        { policy: "two", kind: "redact" },
        { policy: "two", kind: "taint" },
      ],
    });
    expect(answer(PERMIT)).toMatchObject({ redact: [], neutralise: false, taint: [], obligations: [] });
  });
});

describe("a run", () => {
  const redact = (scope: string): ReturnType<typeof parseBundle> =>
    parseBundle(bundleFiles(`@id("a") @redact("pii.*") permit (principal, ${scope}, resource);`));

  it("refuses what no stage carries out, at the moment at which it would be due", () => {
    const atRequest = [{ kind: "redact", at: "request" }] as const;
    const atRespond = [{ kind: "redact", at: "respond" }] as const;
    const call = redact('action == Mcp::Action::"s/echo"');
    const result = redact('action in Mcp::Action::"respond"');
    const both = redact("action");
    expect(codeOf(() => checkCarriedOut(call, []))).toBe("ERR_POLICY_BUNDLE");
    expect(codeOf(() => checkCarriedOut(call, atRespond))).toBe("ERR_POLICY_BUNDLE");
    expect(codeOf(() => checkCarriedOut(result, atRequest))).toBe("ERR_POLICY_BUNDLE");
    expect(codeOf(() => checkCarriedOut(both, atRequest))).toBe("ERR_POLICY_BUNDLE");
    checkCarriedOut(call, atRequest);
    checkCarriedOut(result, atRespond);
    checkCarriedOut(both, [...atRequest, ...atRespond]);
  });
});
