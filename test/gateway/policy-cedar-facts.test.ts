/**
 * What the policy engine does, pinned: the gateway's rules (any error is a deny, validate at load, map before calling)
 * exist because of these facts. A new release that changes one fails here first.
 */

import {
  type AuthorizationAnswer,
  type CedarValueJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  type SchemaJson,
  statefulIsAuthorized,
  validate,
} from "@cedar-policy/cedar-wasm/nodejs";
import { describe, expect, it } from "vitest";

const PERMIT_ECHO = 'permit (principal, action == Mcp::Action::"s/echo", resource);';

/** One server, one tool with a required `message` and an optional `count`; the server has an attribute `region`. */
const SCHEMA: SchemaJson<string> = {
  Mcp: {
    entityTypes: {
      User: {},
      Server: {
        shape: {
          type: "Record",
          attributes: { region: { type: "String" }, covered: { type: "Boolean", required: false } },
        },
      },
    },
    actions: {
      call_tool: {},
      "s/echo": {
        memberOf: [{ id: "call_tool" }],
        appliesTo: {
          principalTypes: ["User"],
          resourceTypes: ["Server"],
          context: {
            type: "Record",
            attributes: {
              input: {
                type: "Record",
                attributes: { message: { type: "String" }, count: { type: "Long", required: false } },
              },
            },
          },
        },
      },
    },
  },
};

let sets = 0;

interface Question {
  readonly policies: Readonly<Record<string, string>>;
  readonly input?: unknown;
  readonly attrs?: Readonly<Record<string, CedarValueJson>> | undefined;
  readonly withSchema?: boolean;
  readonly action?: string;
}

/** Asks with a fresh set of policies; the server is not sent as an entity if `attrs` is undefined. */
function ask(question: Question): AuthorizationAnswer {
  sets += 1;
  const id = `set-${sets}`;
  expect(preparsePolicySet(id, { staticPolicies: { ...question.policies } }).type).toBe("success");
  const resource = { type: "Mcp::Server", id: "s" };
  const input = "input" in question ? question.input : { message: "hi" };
  if (question.withSchema === true) expect(preparseSchema("schema", SCHEMA).type).toBe("success");
  return statefulIsAuthorized({
    principal: { type: "Mcp::User", id: "u" },
    action: { type: "Mcp::Action", id: question.action ?? "s/echo" },
    resource,
    context: { input } as Record<string, CedarValueJson>,
    entities: question.attrs === undefined ? [] : [{ uid: resource, attrs: { ...question.attrs }, parents: [] }],
    preparsedPolicySetId: id,
    ...(question.withSchema === true ? { preparsedSchemaName: "schema", validateRequest: true } : {}),
  });
}

function decisionOf(answer: AuthorizationAnswer): string {
  return answer.type === "success" ? answer.response.decision : "failure";
}

function erringOf(answer: AuthorizationAnswer): readonly string[] {
  return answer.type === "success" ? answer.response.diagnostics.errors.map(({ policyId }) => policyId) : [];
}

describe("the policy engine skips a policy that errs", () => {
  it("allows when the forbid reads an attribute of an entity that was not sent", () => {
    const policies = {
      allow: PERMIT_ECHO,
      stop: 'forbid (principal, action, resource) when { resource.region == "us" };',
    };
    const answer = ask({ policies, attrs: undefined });
    expect(decisionOf(answer)).toBe("allow");
    expect(erringOf(answer)).toEqual(["stop"]);
  });

  it("allows when the forbid compares values of two types", () => {
    const policies = {
      allow: PERMIT_ECHO,
      stop: "forbid (principal, action, resource) when { context.input.message > 3 };",
    };
    const answer = ask({ policies, attrs: { region: "eu" } });
    expect(decisionOf(answer)).toBe("allow");
    expect(erringOf(answer)).toEqual(["stop"]);
  });
});

describe("what cannot be a context", () => {
  const policies = { allow: PERMIT_ECHO };
  it.each([
    ["null", { message: null }],
    ["a number that is no integer", { message: 1.5 }],
    ["an integer of 2^63", { message: 2 ** 63 }],
  ])("%s is a failure, not a decision", (_, input) => {
    expect(ask({ policies, input }).type).toBe("failure");
  });

  it.each([
    ["a lone surrogate", { message: "\ud800" }],
    ["a BigInt", { message: 1n }],
    ["nesting of 200", { message: JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`) }],
  ])("%s throws, and the instance answers the next question", (_, input) => {
    expect(() => ask({ policies, input })).toThrow();
    expect(decisionOf(ask({ policies }))).toBe("allow");
  });

  it("takes an entity reference out of an argument when no schema is given, and refuses it with one", () => {
    const input = { message: { __entity: { type: "Mcp::User", id: "root" } } };
    const rules = {
      allow: 'permit (principal, action, resource) when { context.input.message == Mcp::User::"root" };',
    };
    expect(decisionOf(ask({ policies: rules, input }))).toBe("allow");
    expect(ask({ policies: rules, input, withSchema: true, attrs: { region: "eu" } }).type).toBe("failure");
  });

  it("with a schema, an undeclared attribute, a wrong type or an unknown action is a failure", () => {
    const attrs = { region: "eu" };
    expect(ask({ policies, attrs, withSchema: true, input: { message: "hi", extra: "x" } }).type).toBe("failure");
    expect(ask({ policies, attrs, withSchema: true, input: { message: ["hi"] } }).type).toBe("failure");
    expect(ask({ policies, attrs, withSchema: true, action: "s/other" }).type).toBe("failure");
    expect(decisionOf(ask({ policies, attrs, withSchema: true }))).toBe("allow");
  });
});

describe("prepared sets", () => {
  it("an unknown set is a failure", () => {
    const answer = statefulIsAuthorized({
      principal: { type: "Mcp::User", id: "u" },
      action: { type: "Mcp::Action", id: "s/echo" },
      resource: { type: "Mcp::Server", id: "s" },
      context: {},
      entities: [],
      preparsedPolicySetId: "never-prepared",
    });
    expect(answer.type).toBe("failure");
  });

  it("a set that fails to parse leaves the old one in place", () => {
    const call = {
      principal: { type: "Mcp::User", id: "u" },
      action: { type: "Mcp::Action", id: "s/echo" },
      resource: { type: "Mcp::Server", id: "s" },
      context: {},
      entities: [],
      preparsedPolicySetId: "kept",
    };
    expect(preparsePolicySet("kept", { staticPolicies: { allow: PERMIT_ECHO } }).type).toBe("success");
    expect(preparsePolicySet("kept", { staticPolicies: { broken: "forbid (" } }).type).toBe("failure");
    expect(decisionOf(statefulIsAuthorized(call))).toBe("allow");
  });

  it("an unknown member of the call throws", () => {
    const call = {
      principal: { type: "Mcp::User", id: "u" },
      action: { type: "Mcp::Action", id: "s/echo" },
      resource: { type: "Mcp::Server", id: "s" },
      context: {},
      entities: [],
      preparsedPolicySetId: "kept",
      surprise: true,
    };
    expect(() => statefulIsAuthorized(call)).toThrow();
  });

  it("one text names its policies by position, whatever their @id says", () => {
    const text = `@id("mine") ${PERMIT_ECHO}`;
    expect(preparsePolicySet("positions", { staticPolicies: text }).type).toBe("success");
    const answer = statefulIsAuthorized({
      principal: { type: "Mcp::User", id: "u" },
      action: { type: "Mcp::Action", id: "s/echo" },
      resource: { type: "Mcp::Server", id: "s" },
      context: {},
      entities: [],
      preparsedPolicySetId: "positions",
    });
    expect(answer).toMatchObject({ response: { diagnostics: { reason: ["policy0"] } } });
    const parts = policySetTextToParts(text);
    expect(parts.type === "success" ? parts.policies.length : 0).toBe(1);
    expect(policyToJson(text)).toMatchObject({ json: { annotations: { id: "mine" } } });
  });

  it("an annotation twice on one policy does not parse", () => {
    expect(policyToJson(`@id("a") @id("b") ${PERMIT_ECHO}`).type).toBe("failure");
  });
});

describe("validation", () => {
  function validated(policy: string): { readonly errors: number; readonly warnings: readonly string[] } {
    const answer = validate({ schema: SCHEMA, policies: { staticPolicies: { p: policy } } });
    if (answer.type === "failure") throw new Error("the schema or the policy does not parse");
    return {
      errors: answer.validationErrors.length,
      warnings: answer.validationWarnings.map(({ error }) => error.message),
    };
  }

  it("answers success although it found errors", () => {
    expect(validated("permit (principal, action, resource) when { context.input.count > 1 };").errors).toBe(1);
  });

  it("only warns of a forbid on the group `call_tool` by `==`, which can never match", () => {
    const { errors, warnings } = validated('forbid (principal, action == Mcp::Action::"call_tool", resource);');
    expect(errors).toBe(0);
    expect(warnings.join()).toMatch(/unable to find an applicable action|impossible|never apply/u);
    expect(validated('forbid (principal, action in Mcp::Action::"call_tool", resource);').warnings).toEqual([]);
  });

  it("refuses an optional attribute that is read without `has`", () => {
    const unguarded = "forbid (principal, action, resource) when { !resource.covered };";
    const guarded = "forbid (principal, action, resource) when { !(resource has covered && resource.covered) };";
    expect(validated(unguarded).errors).toBe(1);
    expect(validated(guarded).errors).toBe(0);
  });

  it("refuses a rule that was written for another schema", () => {
    const foreign = 'permit (principal is Agent, action == Action::"call_tool", resource);';
    const answer = validate({ schema: SCHEMA, policies: { staticPolicies: { p: foreign } } });
    expect(answer.type === "success" && answer.validationErrors.length > 0).toBe(true);
  });

  it("takes at most four fraction digits of a decimal", () => {
    const rule = (digits: string): string =>
      `permit (principal, action, resource) when { decimal("${digits}").lessThan(decimal("2.0")) };`;
    expect(validated(rule("1.2345")).errors).toBe(0);
    expect(validated(rule("1.23456")).errors).toBe(1);
  });

  it("refuses a schema with a recursive common type", () => {
    const common = { Tree: { type: "Record" as const, attributes: { child: { type: "Tree", required: false } } } };
    const answer = preparseSchema("cyclic", { Mcp: { commonTypes: common, entityTypes: {}, actions: {} } });
    expect(answer.type).toBe("failure");
  });
});
