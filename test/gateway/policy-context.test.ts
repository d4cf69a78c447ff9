import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnswerMemory } from "../../gateway/policy/answer-memory.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import {
  authorize,
  type CedarAnswer,
  type CedarValueJson,
  preparePolicies,
  prepareSchema,
} from "../../gateway/policy/cedar.ts";
import { buildSchema, listActions } from "../../gateway/policy/cedar-schema.ts";
import { contextUseOf, WHOLE_CONTEXT } from "../../gateway/policy/context-use.ts";
import type { PolicyAnswer, PolicyRequest } from "../../gateway/policy/evaluator.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { bundleFiles, evaluatorOf, requestOf, sourceOf } from "../support/policy-request.ts";

const SCHEMA = {
  type: "object",
  properties: { message: { type: "string" }, path: { type: "string" }, count: { type: "integer" } },
  required: ["message"],
};
const SOURCE = sourceOf({ echo: SCHEMA }, { region: "eu" });
const ACTION = 'action == Mcp::Action::"s/echo"';
const PERMIT = `@id("allow") permit (principal, ${ACTION}, resource);`;

/** One rule for each way in which a policy may get at a value. */
const RULES: readonly string[] = [
  `context.input.message == "stop"`,
  `context.input["message"] like "*a*"`,
  `context.input has path && context.input.path like "/etc/*"`,
  `context.session.taint.contains("secret")`,
  `context["session"]["calls"] > 3`,
  `(if context.system.inexact then context.session.calls else context.session.sensitivity) > 2`,
  `[context.session.trust, "x"].contains("inferred")`,
  `{ "a": context.session.source }.a == "idle-window"`,
  `context.system.now < datetime("2026-01-01")`,
  `context.input has count && context.input.count * 9223372036854775807 == 4`,
  `resource has region && resource.region == context.system.domain`,
  `context.session == context.session && context.session.calls == 1`,
  `principal.name == context.input.message`,
];

function ruleOf(condition: string): string {
  return `@id("rule") forbid (principal, ${ACTION}, resource) when { ${condition} };`;
}

const words = fc.constantFrom("stop", "abc", "eu", "inferred", "idle-window", "token|example-agent", "/etc/passwd");
const requests: fc.Arbitrary<PolicyRequest> = fc
  .record({
    message: words,
    path: fc.option(words, { nil: undefined }),
    count: fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined }),
    calls: fc.integer({ min: 0, max: 6 }),
    sensitivity: fc.integer({ min: 0, max: 4 }),
    taint: fc.constantFrom<string[]>([], ["secret"], ["other", "secret"]),
    trust: words,
    source: words,
    domain: words,
    now: fc.constantFrom("2025-03-01T12:00:00.000Z", "2026-03-01T12:00:00.000Z"),
  })
  .map(({ message, path, count, now, domain, ...session }) => {
    const argument = { message, ...(path === undefined ? {} : { path }), ...(count === undefined ? {} : { count }) };
    const base = requestOf("s/echo", argument);
    const system = { ...base.system, domain, now: { __extn: { fn: "datetime", arg: now } } };
    return { ...base, session: { ...base.session, ...session }, system };
  });

let sets = 0;

/** Asks the engine with the whole context and the whole schema, by policies that are prepared under a name of their own. */
function makeWhole(cedar: string): (request: PolicyRequest) => CedarAnswer {
  sets += 1;
  const name = `whole-${sets}`;
  const bundle = parseBundle(bundleFiles(cedar));
  preparePolicies(name, Object.fromEntries([...bundle.policies].map(([id, { text }]) => [id, text])));
  prepareSchema(name, buildSchema([SOURCE], listActions([SOURCE]).values()));
  return ({ principal, argument, session, system }) => {
    const uid = { type: "Mcp::Agent", id: principal.id };
    const resource = { type: "Mcp::Server", id: "s" };
    const input: CedarValueJson = JSON.parse(JSON.stringify(argument));
    const more = { schemaStatus: "typed", undeclared: [], truncated: [], inexact: false };
    return authorize({
      principal: uid,
      action: { type: "Mcp::Action", id: "s/echo" },
      resource,
      context: { input, session: { ...session }, system: { ...system, ...more } },
      entities: [
        { uid: resource, attrs: { region: "eu" }, parents: [] },
        { uid, attrs: { ...principal.attributes }, parents: [] },
      ],
      preparsedPolicySetId: name,
      preparsedSchemaName: name,
      validateRequest: true,
    });
  };
}

function essence(answer: PolicyAnswer): unknown {
  return { allowed: answer.allowed, policies: answer.policies, erring: answer.erring };
}

describe("a decision on the members that policies name", () => {
  it.each(RULES)("is the one on all of them: %s", (condition) => {
    const cedar = PERMIT + ruleOf(condition);
    const [evaluator, whole] = [evaluatorOf(cedar, SOURCE), makeWhole(cedar)];
    fc.assert(
      fc.property(requests, (request) => {
        const wanted = whole(request);
        if (wanted.type === "failed") throw new Error("the engine failed on the whole context");
        const { allowed, reasons, erring } = wanted;
        const want = { allowed: allowed && erring.length === 0, policies: [...reasons].sort(), erring };
        expect(essence(evaluator.evaluate(request))).toEqual(want);
        expect(essence(evaluator.evaluate(request))).toEqual(want);
      }),
      { numRuns: 25 },
    );
  });

  it("is of all members where a policy takes the context as a whole", () => {
    const use = (text: string): unknown => contextUseOf([parseJson(text)]);
    const context = '{"Var":"context"}';
    expect(use(`{"==":{"left":${context},"right":${context}}}`)).toBe(WHOLE_CONTEXT);
    const input = `{".":{"left":${context},"attr":"input"}}`;
    expect(use(`{"==":{"left":${input},"right":${input}}}`)).toEqual(new Map([["input", "all"]]));
    expect(use(`{"has":{"left":${input},"attr":["a","b"]}}`)).toEqual(new Map([["input", "all"]]));
    expect(use(`{"has":{"left":${input},"attr":"a"}}`)).toEqual(new Map([["input", new Set(["a"])]]));
    expect(use(`{"Set":[{".":{"left":{".":{"left":${input},"attr":"a"}},"attr":"b"}}]}`)).toEqual(
      new Map([["input", new Set(["a"])]]),
    );
  });
});

describe("a memory of answers", () => {
  const YES: CedarAnswer = { type: "decided", allowed: true, reasons: ["p"], erring: [] };

  it("asks once for equal questions, and again for one that differs in a byte", () => {
    const memory = new AnswerMemory();
    const asked: string[] = [];
    const ask = (question: string): CedarAnswer =>
      memory.answer(question, () => {
        asked.push(question);
        return YES;
      });
    for (const question of ["a", "a", "b", "a", "a "]) expect(ask(question)).toBe(YES);
    expect(asked).toEqual(["a", "b", "a "]);
  });

  it("keeps no failure, and lets go of what is not asked any more", () => {
    const memory = new AnswerMemory();
    let asked = 0;
    const ask = (question: string, answer: CedarAnswer): CedarAnswer =>
      memory.answer(question, () => {
        asked += 1;
        return answer;
      });
    for (let i = 0; i < 2; i += 1) ask("f", { type: "failed" });
    expect(asked).toBe(2);
    for (let i = 0; i < 9000; i += 1) ask(`q${i}`, YES);
    ask("q8999", YES);
    expect(asked).toBe(2 + 9000);
    ask("q0", YES);
    expect(asked).toBe(2 + 9000 + 1);
  });
});
