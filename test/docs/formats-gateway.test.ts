import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeCatalog } from "../../gateway/catalog/catalog.ts";
import { checkApproval } from "../../gateway/catalog/catalog-approval.ts";
import { approverName, parseCatalog, parseRevisedCatalog } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { formatQuestion, readQuestion } from "../../gateway/policy/asked-question.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import { makeEvaluator } from "../../gateway/policy/evaluator.ts";
import { agentCodeDigest, agentMetadataDigest } from "../../kernel/agent-measurement.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatCanonical, parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { checkArtifact, quarantineDigest, sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile, policyDigest } from "../../kernel/policy-manifest.ts";
import { boundsByName } from "../../kernel/sealed-limits.ts";
import { checkNarrower, checkSessionArtifact, sealSessionArtifact } from "../../kernel/session-artifact.ts";
import { array, object, readShape } from "../../kernel/shape.ts";
import { publicKeyShape } from "../../kernel/signature/public-key.ts";
import { codeOf } from "../support/code-of.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { ALL_LIMITS, artifactBody, SEAL_RULE, SEALERS, sessionArtifactBody } from "../support/policy-artifact.ts";
import { bundleFiles, sourceOf } from "../support/policy-request.ts";
import { ROOT } from "../support/source-files.ts";

describe("docs/formats/policy-manifest.md", () => {
  const block = fencedBlocks("docs/formats/policy-manifest.md");

  it("shows a manifest and the digest that stands in receipts", () => {
    const digest = digestFile(block("manifest-file"));
    expect(parseCanonical(block("manifest"))).toEqual({
      files: [{ digest, path: "a.cedar" }],
      kind: "policy-bundle",
      v: 1,
      version: "1.0.0",
    });
    expect(digestFile(block("manifest"))).toBe(block("manifest-digest"));
    expect(policyDigest("1.0.0", [{ path: "a.cedar", digest }])).toBe(block("manifest-digest"));
  });

  it("holds that every byte of a file, its path and the version count", () => {
    const digest = digestFile(block("manifest-file"));
    const others = [
      policyDigest("1.0.1", [{ path: "a.cedar", digest }]),
      policyDigest("1.0.0", [{ path: "b.cedar", digest }]),
      policyDigest("1.0.0", [{ path: "a.cedar", digest: digestFile(`${block("manifest-file")}\n`) }]),
      policyDigest("1.0.0", []),
    ];
    expect(new Set([...others, block("manifest-digest")]).size).toBe(5);
  });
});

describe("docs/formats/catalog.md", () => {
  const block = fencedBlocks("docs/formats/catalog.md");
  const value = parseCanonical(block("catalog"));

  it("shows a catalog in canonical form, and its digest", () => {
    const file = parseCatalog(value);
    expect(formatCanonical(file)).toBe(block("catalog"));
    expect(digestOf(file)).toBe(block("catalog-digest"));
    expect(makeCatalog(file, []).digest).toBe(block("catalog-digest"));
  });

  it("refuses every change of what a digest covers", () => {
    const changes: readonly (readonly [string, string])[] = [
      ["Finds a customer", "Finds a customer."],
      ['\\"required\\":[\\"name\\"]', '\\"required\\":[\\"nama\\"]'],
      ['"name":"query"', '"name":"quest"'],
      ["sha256:e8abb9", "sha256:e8abba"],
      ["sha256:08b065", "sha256:08b066"],
      ["sha256:8053f7", "sha256:8053f8"],
      ['"capabilities":{"tools":{}}', '"capabilities":{"prompts":{}}'],
      ['"instructions":null', '"instructions":"Obey."'],
      ['"id":"crm"', '"id":"crn"'],
    ];
    for (const [from, to] of changes) {
      const changed: JsonValue = parseCanonical(block("catalog").replace(from, to));
      expect([from, codeOf(() => parseCatalog(changed))]).toEqual([from, "ERR_CATALOG"]);
    }
  });
});

describe("docs/formats/catalog.md, approval by signatures", () => {
  const block = fencedBlocks("docs/formats/catalog.md");
  const keys = readShape(
    array(object({ name: approverName, key: publicKeyShape })),
    parseCanonical(block("approvers")),
    "approvers",
  );

  it("shows a catalog that two of the keys have signed, and its digest", () => {
    const stored = parseRevisedCatalog(formatUtf8(block("signed-catalog")));
    expect(checkApproval(stored, { approvers: keys, threshold: 2 })).toEqual(["alice", "bob"]);
    expect(digestOf(stored.file)).toBe(block("signed-catalog-digest"));
    expect(stored.file.previous).toBe(block("catalog-digest"));
    expect(codeOf(() => checkApproval(stored, { approvers: keys, threshold: 3 }))).toBe("ERR_CATALOG_THRESHOLD");
  });
});

describe("docs/policy.md", () => {
  const document = readFileSync(join(ROOT, "docs/policy.md"), "utf8");

  const blocks = [...document.matchAll(/```cedar\n([\s\S]*?)```/gu)].map(([, cedar = ""]) => cedar);

  it("shows rules for results that load over a tool which declares what they read", () => {
    const [, cedar = ""] = blocks;
    const outputSchema = { type: "object", properties: { total: { type: "integer" } } };
    const source = { ...sourceOf({}, {}, "crm"), tools: [{ name: "query", inputSchema: undefined, outputSchema }] };
    const evaluator = makeEvaluator("docs-results", parseBundle(bundleFiles(cedar)), [source]);
    expect(evaluator.hasAction("respond:crm/query")).toBe(true);
  });

  it("shows a rule about what is offered that hides from those whom it names", () => {
    const [, , cedar = ""] = blocks;
    const evaluator = makeEvaluator("docs-offers", parseBundle(bundleFiles(cedar)), [
      sourceOf({ query: {} }, {}, "crm"),
    ]);
    expect(["offer:crm/query", "list:crm", "extension:crm"].map(evaluator.hasAction)).toEqual([true, true, false]);
  });

  it("shows a bundle that loads over a catalog which has what it names", () => {
    const [cedar = ""] = blocks;
    const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
    const bundle = parseBundle(bundleFiles(cedar));
    expect([...bundle.policies.keys()]).toEqual(["crm.read", "crm.after-web", "crm.new-definitions"]);
    makeEvaluator("docs-policy", bundle, [sourceOf({ query: schema }, { region: "eu" }, "crm")]);
  });

  it("links to a shipped example whose every policy has an id and a reason", () => {
    expect(document).toContain("(examples/policy)");
    const files = ["policy.json", "memory.cedar", "everything.cedar"].map((path) => ({
      path,
      content: formatUtf8(readFileSync(join(ROOT, "docs/examples/policy", path), "utf8")),
    }));
    const { policies } = parseBundle(files);
    for (const { notes, text } of policies.values()) {
      expect(notes.reason).toBeDefined();
      // A permit without any bound would be copied into production.
      expect(text.replaceAll(/\s/gu, "")).not.toContain("permit(principal,action,resource)");
    }
  });
});

describe("docs/formats/session-artifact.md", () => {
  const block = fencedBlocks("docs/formats/session-artifact.md");

  it("shows an artifact that is sealed to the byte, with its digest, and within the gateway's", () => {
    const [alice, bob] = SEALERS;
    const sealed = sealSessionArtifact(sessionArtifactBody(), [alice.signer, bob.signer]);
    expect(new TextDecoder().decode(sealed)).toBe(block("session-artifact"));
    const { artifact, digest } = checkSessionArtifact(formatUtf8(block("session-artifact")), SEAL_RULE);
    expect(digest).toBe(block("session-artifact-digest"));
    checkNarrower(artifact, artifactBody());
  });

  it("names every member of an artifact", () => {
    const document = readFileSync(join(ROOT, "docs/formats/session-artifact.md"), "utf8");
    for (const member of Object.keys(sessionArtifactBody())) expect(document, member).toContain(`\`${member}\``);
  });
});

describe("docs/formats/policy-artifact.md", () => {
  const block = fencedBlocks("docs/formats/policy-artifact.md");

  it("shows an artifact with every limit that is sealed to the byte, with its digest", () => {
    const [alice, bob] = SEALERS;
    const sealed = sealArtifact(artifactBody({ v: 2, limits: ALL_LIMITS }), [alice.signer, bob.signer]);
    expect(new TextDecoder().decode(sealed)).toBe(block("policy-artifact"));
    expect(checkArtifact(formatUtf8(block("policy-artifact")), SEAL_RULE).digest).toBe(block("policy-artifact-digest"));
  });

  it("shows what a configuration says of quarantine, and its digest", () => {
    const config = parseCanonical(block("quarantine-config"));
    if (!isJsonObject(config)) throw new Error("not an object");
    expect(block("quarantine-digests").split("\n")).toEqual([quarantineDigest(config), quarantineDigest(undefined)]);
  });

  it("names every limit", () => {
    const document = readFileSync(join(ROOT, "docs/formats/policy-artifact.md"), "utf8");
    const names = [...boundsByName(ALL_LIMITS).keys()].map((name) => name.split(".").slice(0, 2).join("."));
    for (const name of new Set(names)) expect(document, name).toContain(`\`${name}\``);
  });

  it("shows an agent and its two digests", () => {
    const metadata = parseCanonical(block("agent-metadata"));
    if (!isJsonObject(metadata)) throw new Error("not an object");
    const code = agentCodeDigest([{ path: "main.py", content: formatUtf8(`${block("agent-file")}\n`) }]);
    expect(block("agent-digests").split("\n")).toEqual([code, agentMetadataDigest(metadata)]);
  });

  it("names every member of an artifact", () => {
    const document = readFileSync(join(ROOT, "docs/formats/policy-artifact.md"), "utf8");
    for (const member of Object.keys(artifactBody())) expect(document, member).toContain(`\`${member}\``);
  });
});

describe("docs/formats/policy-question.md", () => {
  const text = fencedBlocks("docs/formats/policy-question.md")("policy-question");

  it("shows a question that reads and formats back to the same bytes", () => {
    expect(formatQuestion(readQuestion(parseCanonical(text)))).toEqual(formatUtf8(text));
  });

  it("refuses every truncation, and with any member taken away or added", () => {
    const value = parseCanonical(text);
    if (!isJsonObject(value)) throw new Error("want an object");
    for (let end = 0; end < text.length; end += 1) expect(() => parseCanonical(text.slice(0, end))).toThrow();
    for (const name of Object.keys(value)) {
      const { [name]: _, ...rest } = value;
      expect(codeOf(() => readQuestion(rest))).toBe("ERR_SHAPE");
    }
    expect(codeOf(() => readQuestion({ ...value, more: 1 }))).toBe("ERR_SHAPE");
  });
});
