import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EvaluatorInForce } from "../../gateway/policy/evaluator-in-force.ts";
import { narrowedEvaluator } from "../../gateway/policy/narrowed-evaluator.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { answerTo, evaluatorOf, principalNamed, requestOf, sourceOf } from "../support/policy-request.ts";

const ECHO = {
  type: "object",
  properties: { message: { type: "string" }, path: { type: "string" } },
  required: ["message"],
};
const PERMIT = '@id("allow") permit (principal, action == Mcp::Action::"s/echo", resource);';

describe("a decision", () => {
  it("is deny by default, with no policy named", () => {
    const answer = evaluatorOf(PERMIT, sourceOf({ echo: ECHO, other: ECHO })).evaluate(
      requestOf("s/other", { message: "hi" }),
    );
    expect(answer).toMatchObject({ allowed: false, reason: "policy.default-deny", policies: [], erring: [] });
  });

  it("names the permit that allowed, and the forbid that did not, with its reason and controls", () => {
    const forbid =
      '@id("stop") @reason("No secrets.") @control("DORA:9, EU-AI-Act:12") forbid (principal, action == Mcp::Action::"s/echo", resource) when { context.input.message == "secret" };';
    expect(answerTo(PERMIT + forbid, ECHO, { message: "hi" })).toMatchObject({
      allowed: true,
      reason: "policy.permit",
      policies: ["allow"],
    });
    expect(answerTo(PERMIT + forbid, ECHO, { message: "secret" })).toMatchObject({
      allowed: false,
      reason: "policy.forbid",
      policies: ["stop"],
      message: "No secrets.",
      controls: ["DORA:9", "EU-AI-Act:12"],
    });
  });

  it("is deny for an action or a server that the catalog does not have", () => {
    const evaluator = evaluatorOf(PERMIT, sourceOf({ echo: ECHO }));
    expect(evaluator.hasAction("s/nothing")).toBe(false);
    for (const request of [requestOf("s/nothing", {}), requestOf("s/echo", { message: "" }, "t")]) {
      expect(evaluator.evaluate(request)).toMatchObject({ allowed: false, reason: "policy.request-unmappable" });
    }
  });

  it("knows the principal, so that a permit for one agent is none for another", () => {
    const cedar =
      '@id("one") permit (principal == Mcp::Agent::"token|example-agent", action in Mcp::Action::"call_tool", resource);';
    const evaluator = evaluatorOf(cedar, sourceOf({ echo: ECHO }));
    const request = requestOf("s/echo", { message: "hi" });
    expect(evaluator.evaluate(request).allowed).toBe(true);
    expect(evaluator.evaluate({ ...request, principal: principalNamed("Agent", "token|other") }).allowed).toBe(false);
    expect(
      evaluator.evaluate({ ...request, principal: principalNamed("LocalUser", "token|example-agent") }).allowed,
    ).toBe(false);
  });

  it("by the principal alone is remembered for it: not for another one, another server, or arguments of other types", () => {
    const cedar =
      '@id("one") permit (principal in Mcp::Group::"ops", action in Mcp::Action::"call_tool", resource == Mcp::Server::"s");';
    const evaluator = evaluatorOf(cedar, sourceOf({ echo: ECHO }), sourceOf({ echo: ECHO }, {}, "t"));
    const member = principalNamed("Agent", "token|a", { type: "Group", id: "ops" });
    const other = principalNamed("Agent", "token|a");
    const request = requestOf("s/echo", { message: "hi" });
    const first = evaluator.evaluate({ ...request, principal: member });
    expect(first).toMatchObject({ allowed: true, policies: ["one"] });
    for (let round = 0; round < 3; round += 1) {
      expect(evaluator.evaluate({ ...request, principal: member, session: {}, system: {} })).toBe(first);
      expect(evaluator.evaluate({ ...request, principal: other })).toMatchObject({ reason: "policy.default-deny" });
      expect(evaluator.evaluate({ ...request, principal: member, serverId: "t" }).allowed).toBe(false);
      expect(evaluator.evaluate({ ...requestOf("t/echo", { message: "hi" }, "t"), principal: member }).allowed).toBe(
        false,
      );
      expect(evaluator.evaluate({ ...request, principal: member, argument: { message: 7 } })).toMatchObject({
        reason: "policy.request-unmappable",
      });
    }
  });

  it("knows whether some list is spoken of, also when another evaluator has taken the place of the one before", () => {
    const offers = '@id("hide") forbid (principal, action == Mcp::Action::"offer:t/echo", resource);';
    const lists = '@id("hide") forbid (principal, action == Mcp::Action::"list:s", resource);';
    const sources = [sourceOf({ echo: ECHO }), sourceOf({ echo: ECHO }, {}, "t")];
    const silent = evaluatorOf(PERMIT, ...sources);
    const inForce = new EvaluatorInForce(silent);
    const narrowed = narrowedEvaluator(inForce, evaluatorOf(PERMIT, ...sources));
    const seen = (): readonly boolean[] => [inForce.hasListing, narrowed.hasListing];
    expect(seen()).toEqual([false, false]);
    for (const rules of [offers, lists]) {
      inForce.replace(evaluatorOf(PERMIT + rules, ...sources));
      expect(seen()).toEqual([true, true]);
      expect(["s", "t"].some((id) => inForce.hasAction(`list:${id}`))).toBe(true);
    }
    inForce.replace(silent);
    expect(seen()).toEqual([false, false]);
  });

  it("by what its session did is not remembered for the principal", () => {
    const forbid =
      '@id("stop") forbid (principal, action in Mcp::Action::"call_tool", resource) when { context.session.calls > 2 };';
    const evaluator = evaluatorOf(PERMIT + forbid, sourceOf({ echo: ECHO }));
    const request = requestOf("s/echo", { message: "hi" });
    const after = (calls: number): boolean =>
      evaluator.evaluate({ ...request, session: { ...request.session, calls } }).allowed;
    expect([1, 3, 1, 3].map(after)).toEqual([true, false, true, false]);
  });

  it("knows the groups, roles and workflow that the principal is in, and its attributes", () => {
    const cedar = `
      @id("group") permit (principal in Mcp::Group::"support", action == Mcp::Action::"s/echo", resource);
      @id("role") permit (principal in Mcp::Role::"dpo", action == Mcp::Action::"s/echo", resource);
      @id("workflow") permit (principal in Mcp::Workflow::"triage", action == Mcp::Action::"s/echo", resource);
      @id("person") permit (principal is Mcp::User, action == Mcp::Action::"s/echo", resource) when { principal.issuer == "token" };`;
    const evaluator = evaluatorOf(cedar, sourceOf({ echo: ECHO }));
    const policiesOf = (principal: ReturnType<typeof principalNamed>): readonly string[] =>
      evaluator.evaluate({ ...requestOf("s/echo", { message: "hi" }), principal }).policies;
    expect(policiesOf(principalNamed("Agent", "a"))).toEqual([]);
    expect(policiesOf(principalNamed("Agent", "a", { type: "Group", id: "support" }))).toEqual(["group"]);
    expect(policiesOf(principalNamed("Agent", "a", { type: "Group", id: "dpo" }))).toEqual([]);
    const both = [
      { type: "Role", id: "dpo" },
      { type: "Workflow", id: "triage" },
    ] as const;
    expect(policiesOf(principalNamed("Agent", "a", ...both))).toEqual(["role", "workflow"]);
    expect(policiesOf(principalNamed("User", "a"))).toEqual(["person"]);
  });

  it("keeps tools apart whose names differ by one character that a schema generator would fold", () => {
    const tools = { read_file: ECHO, read__file: ECHO, "read-file": ECHO, "read.file": ECHO };
    const cedar = '@id("one") permit (principal, action == Mcp::Action::"s/read_file", resource);';
    const evaluator = evaluatorOf(cedar, sourceOf(tools));
    const allowed = Object.keys(tools).filter(
      (name) => evaluator.evaluate(requestOf(`s/${name}`, { message: "" })).allowed,
    );
    expect(allowed).toEqual(["read_file"]);
  });

  it("is made for each server by its own attributes", () => {
    const cedar =
      '@id("eu") permit (principal, action in Mcp::Action::"call_tool", resource) when { resource has region && resource.region == "eu" };';
    const evaluator = evaluatorOf(
      cedar,
      sourceOf({ echo: ECHO }, { region: "eu" }, "a"),
      sourceOf({ echo: ECHO }, { region: "us" }, "b"),
      sourceOf({ echo: ECHO }, {}, "c"),
    );
    const allowed = ["a", "b", "c"].filter(
      (id) => evaluator.evaluate(requestOf(`${id}/echo`, { message: "" }, id)).allowed,
    );
    expect(allowed).toEqual(["a"]);
  });

  it("does not mix the policies of a tool with those of one that is named after its prepared set", () => {
    const cedar = `${PERMIT} @id("watch") @decision("advisory") forbid (principal, action == Mcp::Action::"s/echo", resource);`;
    const tools = { echo: ECHO, "echo/advisory": ECHO, "advisory/echo": ECHO, "deciding/echo": ECHO };
    const evaluator = evaluatorOf(cedar, sourceOf(tools));
    expect(evaluator.evaluate(requestOf("s/echo", { message: "" }))).toMatchObject({
      allowed: true,
      advisory: ["watch"],
    });
    for (const name of Object.keys(tools).slice(1)) {
      const answer = evaluator.evaluate(requestOf(`s/${name}`, { message: "" }));
      expect(answer).toMatchObject({ allowed: false, reason: "policy.default-deny", advisory: [] });
    }
  });
});

describe("an error of the engine", () => {
  // Integers are bounded, so this overflows for large counts, and only at evaluation.
  const SCHEMA = { type: "object", properties: { count: { type: "integer" } }, required: ["count"] };
  const OVERFLOW =
    '@id("stop") forbid (principal, action == Mcp::Action::"s/echo", resource) when { context.input.count * 9223372036854775807 == 4 };';

  it("denies although a permit matches, and names the policy that erred", () => {
    expect(answerTo(PERMIT + OVERFLOW, SCHEMA, { count: 0 }).allowed).toBe(true);
    expect(answerTo(PERMIT + OVERFLOW, SCHEMA, { count: 2 })).toMatchObject({
      allowed: false,
      reason: "policy.error",
      erring: ["stop"],
    });
  });

  it("denies in a permit as well, whatever the other permits say", () => {
    const cedar = `${PERMIT} @id("second") permit (principal, action == Mcp::Action::"s/echo", resource) when { context.input.count * 9223372036854775807 == 4 };`;
    expect(answerTo(cedar, SCHEMA, { count: 2 })).toMatchObject({ allowed: false, erring: ["second"] });
  });

  it("denies when the context lacks a member that policies read, and the evaluator answers the next request", () => {
    const reading = `${PERMIT.slice(0, -1)} when { context.session.source != "" };`;
    const evaluator = evaluatorOf(reading, sourceOf({ echo: ECHO }));
    const request = requestOf("s/echo", { message: "hi" });
    expect(evaluator.evaluate({ ...request, session: {} })).toMatchObject({
      allowed: false,
      reason: "policy.engine-failed",
    });
    expect(evaluator.evaluate({ ...request, session: { ...request.session, source: "\ud800" } })).toMatchObject({
      allowed: false,
      reason: "policy.engine-failed",
    });
    expect(evaluator.evaluate(request).allowed).toBe(true);
  });
});

describe("an advisory forbid", () => {
  const WATCH =
    '@id("watch") @decision("advisory") forbid (principal, action == Mcp::Action::"s/echo", resource) when { context.input.message == "x" };';

  it("is recorded when it matches, and denies nothing", () => {
    expect(answerTo(PERMIT + WATCH, ECHO, { message: "x" })).toMatchObject({ allowed: true, advisory: ["watch"] });
    expect(answerTo(PERMIT + WATCH, ECHO, { message: "y" })).toMatchObject({ allowed: true, advisory: [] });
  });

  it("does not turn a denial into a permission", () => {
    const stop = '@id("stop") forbid (principal, action, resource);';
    expect(answerTo(PERMIT + WATCH + stop, ECHO, { message: "x" })).toMatchObject({
      allowed: false,
      policies: ["stop"],
      advisory: ["watch"],
    });
  });
});

describe("a value that hides from a rule", () => {
  const NO_ETC =
    '@id("etc") forbid (principal, action == Mcp::Action::"s/echo", resource) when { context.input has path && context.input.path like "/etc/*" };';

  it.each<readonly [string, JsonValue]>([
    ["in an array", { message: "hi", path: ["/etc/passwd"] }],
    ["in an object", { message: "hi", path: { path: "/etc/passwd" } }],
    ["as a number", { message: "hi", path: 4 }],
    ["as an entity reference", { message: "hi", path: { __entity: { type: "Mcp::Server", id: "s" } } }],
    ["as an extension value", { message: "hi", path: { __extn: { fn: "decimal", arg: "1.0" } } }],
  ])("%s where a text is declared is denied", (_, argument) => {
    expect(answerTo(PERMIT + NO_ETC, ECHO, argument)).toMatchObject({
      allowed: false,
      reason: "policy.request-unmappable",
    });
  });

  it("by leaving out a required argument is denied, so no rule about it is skipped", () => {
    for (const argument of [{}, { message: null }]) {
      expect(answerTo(PERMIT, ECHO, argument)).toMatchObject({ allowed: false, reason: "policy.request-unmappable" });
    }
  });

  it("by being no object at all is denied", () => {
    for (const argument of ["text", ["x"], null, 1]) expect(answerTo(PERMIT, ECHO, argument).allowed).toBe(false);
  });

  it("behind 4,096 characters is visible as truncated", () => {
    const rule =
      '@id("long") forbid (principal, action, resource) when { context.system.truncated.contains("message") };';
    expect(answerTo(PERMIT + rule, ECHO, { message: "a".repeat(4_096) }).allowed).toBe(true);
    expect(answerTo(PERMIT + rule, ECHO, { message: "a".repeat(4_097) })).toMatchObject({ policies: ["long"] });
    // The cut falls into the middle of a pair of surrogates.
    expect(answerTo(PERMIT, ECHO, { message: `${"a".repeat(4_095)}\u{1f600}` }).allowed).toBe(true);
  });

  it("under a name that the definition does not declare is visible as undeclared, at any depth", () => {
    const schema = {
      type: "object",
      properties: { who: { type: "object", properties: { name: { type: "string" } } } },
    };
    const rule = '@id("more") forbid (principal, action, resource) when { !context.system.undeclared.isEmpty() };';
    expect(answerTo(PERMIT + rule, schema, { who: { name: "n" } }).allowed).toBe(true);
    expect(answerTo(PERMIT + rule, schema, { who: { name: "n" }, ssn: 1 })).toMatchObject({ policies: ["more"] });
    expect(answerTo(PERMIT + rule, schema, { who: { name: "n", ssn: 1 } })).toMatchObject({ policies: ["more"] });
  });
});

describe("slices", () => {
  it("answer as the whole bundle does, on random requests", () => {
    const tools = { echo: ECHO, send: ECHO, list: { type: "object", properties: {} } };
    const rules = [
      PERMIT,
      '@id("send") permit (principal, action in [Mcp::Action::"s/send", Mcp::Action::"s/list"], resource == Mcp::Server::"s");',
      '@id("words") forbid (principal, action in [Mcp::Action::"s/echo", Mcp::Action::"s/send"], resource) when { context.input.message like "*x*" };',
      '@id("group") forbid (principal, action in Mcp::Action::"server:s", resource) when { context.system.undeclared.contains("q") };',
      '@id("all") forbid (principal, action, resource) when { context.system.round > 3 };',
    ];
    const sliced = evaluatorOf(rules.join("\n"), sourceOf(tools));
    // Without an action scope nothing is sliced away: the scope moves into the condition.
    const whole = evaluatorOf(
      rules
        .map((rule) => {
          const scope = /action (==|in) (Mcp::Action::"[^"]*"|\[[^\]]*\])/u.exec(rule);
          if (scope === null) return rule;
          // `in` on a set of actions is the same operator in a condition.
          return rule.replace(scope[0], "action").replace(/;$/u, ` when { ${scope[0]} };`);
        })
        .filter((rule) => !rule.includes("context.input"))
        .join("\n"),
      sourceOf(tools),
    );
    fc.assert(
      fc.property(
        fc.constantFrom("s/echo", "s/send", "s/list"),
        fc.string({ maxLength: 4 }).map((text) => text.replaceAll("x", "")),
        fc.boolean(),
        fc.integer({ min: 0, max: 6 }),
        (actionId, message, hasExtra, round) => {
          const argument = { ...(actionId === "s/list" ? {} : { message }), ...(hasExtra ? { q: 1 } : {}) };
          const request = requestOf(actionId, argument);
          const asked = { ...request, system: { ...request.system, round } };
          const [a, b] = [sliced.evaluate(asked), whole.evaluate(asked)];
          expect({ allowed: a.allowed, policies: a.policies }).toEqual({ allowed: b.allowed, policies: b.policies });
        },
      ),
      { numRuns: 200 },
    );
  });
});
