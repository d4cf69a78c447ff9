import { describe, expect, it } from "vitest";
import { agentCodeDigest, agentMetadataDigest, normaliseFile } from "../../kernel/agent-measurement.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import {
  checkArtifact,
  parseArtifact,
  quarantineDigest,
  sealArtifact,
  workflowDigest,
} from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { ALL_LIMITS, artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import { sampled } from "../support/sweep.ts";

const [alice, bob, mallory] = SEALERS;
const body = artifactBody();
const sealed = sealArtifact(body, [alice.signer, bob.signer]);
const check = (bytes: Uint8Array): unknown => checkArtifact(bytes, SEAL_RULE);

describe("a sealed artifact", () => {
  it("is read as it was sealed, with its digest and the names of its signers", () => {
    const { artifact, digest, signers } = checkArtifact(sealed, SEAL_RULE);
    const { signatures: _, ...read } = artifact;
    expect(read).toEqual(body);
    expect(digest).toBe(digestFile(sealed));
    expect(signers).toEqual(["alice", "bob"]);
  });

  it("is refused below the threshold, and with a signature of a key that is not pinned beside enough others", () => {
    expect(codeOf(() => check(sealArtifact(body, [alice.signer])))).toBe("ERR_ARTIFACT_THRESHOLD");
    expect(codeOf(() => check(sealArtifact(body, [alice.signer, bob.signer, mallory.signer])))).toBe(
      "ERR_ARTIFACT_UNSIGNED",
    );
  });

  it("is refused with any byte changed or removed, and cut anywhere", () => {
    for (const changed of sampled([...oneByteChanges(sealed), ...bytePrefixes(sealed)], 17)) {
      if (codeOf(() => check(changed)) === "accepted") expect.unreachable(parseUtf8(changed));
    }
  });

  it("is refused if a member is missing, more, or out of its bounds", () => {
    const whole = parseCanonical(sealed);
    if (!isJsonObject(whole)) throw new Error("not an object");
    const changes: readonly Record<string, JsonValue>[] = [
      { extra: 1 },
      { version: 0 },
      { kind: "policy" },
      { v: 3 },
      { mode: "strict" },
      { gateway: "" },
      { not_before: body.not_after },
      { subjects: [] },
      { upstreams: [] },
      { tools: ["s/b", "s/a"] },
      { tools: ["s/a", "s/a"] },
      { tools: ["tool"] },
      { catalog: "sha256:00" },
      { upstreams: [{ server: "s", identity: { kind: "http", url: "ftp://x" } }] },
      { workflows: [{ id: "w", tools: ["t/other"], resources: [] }] },
    ];
    for (const change of changes) {
      expect(
        codeOf(() => parseArtifact(canonicalBytes({ ...whole, ...change }))),
        JSON.stringify(change),
      ).toBe("ERR_SHAPE");
    }
    for (const name of Object.keys(body).filter((key) => !["code", "sbom", "baseline"].includes(key))) {
      const { [name]: _, ...rest } = whole;
      expect(
        codeOf(() => parseArtifact(canonicalBytes(rest))),
        name,
      ).toBe("ERR_SHAPE");
    }
  });

  it("may seal what a configuration says of quarantine, from version 2 on", () => {
    const quarantine = quarantineDigest({ baseline: { denials: 1 } });
    const later = artifactBody({ v: 2, limits: ALL_LIMITS, quarantine });
    const { artifact } = checkArtifact(sealArtifact(later, [alice.signer, bob.signer]), SEAL_RULE);
    expect(artifact.quarantine).toBe(quarantine);
    const without = artifactBody({ v: 2, limits: ALL_LIMITS });
    const read = checkArtifact(sealArtifact(without, [alice.signer, bob.signer]), SEAL_RULE);
    expect(read.artifact.quarantine).toBeUndefined();
    expect(codeOf(() => sealArtifact({ ...later, quarantine: "sha256:00" }, [alice.signer]))).toBe("ERR_SHAPE");
    expect(codeOf(() => sealArtifact({ ...body, quarantine }, [alice.signer]))).toBe("ERR_SHAPE");
    const digests = [undefined, {}, { baseline: {} }, { baseline: { denials: 1 } }].map(quarantineDigest);
    expect(new Set(digests).size).toBe(4);
  });

  it("gives each workflow a digest that changes with its scope", () => {
    const [workflow] = body.workflows;
    if (workflow === undefined) throw new Error("no workflow");
    const others = [
      workflow,
      { ...workflow, id: "other" },
      { ...workflow, tools: [] },
      { ...workflow, resources: ["file:///"] },
    ];
    expect(new Set(others.map(workflowDigest)).size).toBe(4);
  });
});

describe("sealed limits", () => {
  const second = artifactBody({ v: 2, limits: ALL_LIMITS });
  const codeWith = (v: 1 | 2, limits: JsonObject): string =>
    codeOf(() => parseArtifact(sealArtifact(artifactBody({ v, limits }), [alice.signer])));

  it("are read as they were sealed: of principals, sessions and tools, a minute and under way, and open sessions", () => {
    const bytes = sealArtifact(second, [alice.signer, bob.signer]);
    const { artifact } = checkArtifact(bytes, SEAL_RULE);
    expect([artifact.v, artifact.limits]).toEqual([2, ALL_LIMITS]);
    for (const changed of sampled([...oneByteChanges(bytes), ...bytePrefixes(bytes)], 17)) {
      if (codeOf(() => check(changed)) === "accepted") expect.unreachable(parseUtf8(changed));
    }
  });

  it("have four bounds in version 1, and refuse any other one there", () => {
    const { calls_per_minute: rate, calls_in_flight: inFlight, sessions } = ALL_LIMITS;
    expect(codeWith(1, { calls_per_minute: { principal: 1, session: 1 }, calls_in_flight: { principal: 1 } })).toBe(
      "accepted",
    );
    const later: readonly JsonObject[] = [
      { calls_per_minute: { tools: rate.tools } },
      { calls_per_minute: { tools: [] } },
      { calls_in_flight: { session: 1 } },
      { calls_in_flight: { tools: inFlight.tools } },
      { sessions },
      { sessions: {} },
    ];
    for (const limits of later) expect(codeWith(1, limits), JSON.stringify(limits)).toBe("ERR_SHAPE");
  });

  it("leave none out in version 2, but the one that a session has only if somebody says so", () => {
    for (const group of ["calls_per_minute", "calls_in_flight", "sessions"] as const) {
      const { [group]: members, ...others } = ALL_LIMITS;
      expect(codeWith(2, others), group).toBe("ERR_SHAPE");
      for (const name of Object.keys(members)) {
        const rest = Object.fromEntries(Object.entries(members).filter(([key]) => key !== name));
        const isFree = group === "calls_in_flight" && name === "session";
        expect(codeWith(2, { ...others, [group]: rest }), `${group}.${name}`).toBe(isFree ? "accepted" : "ERR_SHAPE");
      }
    }
    const none = { ...ALL_LIMITS.calls_per_minute, tools: [] };
    expect(codeWith(2, { ...ALL_LIMITS, calls_per_minute: none })).toBe("accepted");
  });

  it.each<readonly [string, JsonValue]>([
    ["in another order", [...ALL_LIMITS.calls_per_minute.tools].reverse()],
    [
      "twice",
      [
        { tool: "s/echo", limit: 1 },
        { tool: "s/echo", limit: 2 },
      ],
    ],
    ["all of a server", [{ tool: "s/*", limit: 1 }]],
    ["of no server", [{ tool: "echo", limit: 1 }]],
    ["without a bound", [{ tool: "s/echo" }]],
    ["with a bound of nothing", [{ tool: "s/echo", limit: 0 }]],
    ["with a bound too high", [{ tool: "s/echo", limit: 10_000_001 }]],
    ["with more said", [{ tool: "s/echo", limit: 1, more: 1 }]],
    ["as an object", { "s/echo": 1 }],
    ["too many", Array.from({ length: 2_001 }, (_, i) => ({ tool: `s/${String(i).padStart(4, "0")}`, limit: 1 }))],
  ])("have no tools %s", (_, tools) => {
    const whole = parseCanonical(sealArtifact(second, [alice.signer]));
    if (!isJsonObject(whole)) throw new Error("not an object");
    for (const group of ["calls_per_minute", "calls_in_flight"] as const) {
      const limits = { ...ALL_LIMITS, [group]: { ...ALL_LIMITS[group], tools } };
      expect(codeOf(() => parseArtifact(canonicalBytes({ ...whole, limits })))).toBe("ERR_SHAPE");
    }
  });

  it("may name as many tools as a configuration", () => {
    const tools = Array.from({ length: 2_000 }, (_, i) => ({ tool: `s/${String(i).padStart(4, "0")}`, limit: 1 }));
    expect(codeWith(2, { ...ALL_LIMITS, calls_per_minute: { ...ALL_LIMITS.calls_per_minute, tools } })).toBe(
      "accepted",
    );
  });
});

describe("an agent's bytes", () => {
  const files = [
    { path: "main.py", content: formatUtf8("a = 1\nb = 2\n") },
    { path: "data/x.bin", content: Uint8Array.of(13, 10, 0, 255) },
  ];
  const digest = agentCodeDigest(files);

  it("are the same with other line ends, a byte order mark, and files in another order", () => {
    const windows = { path: "main.py", content: formatUtf8("\ufeffa = 1\r\nb = 2\r") };
    expect(agentCodeDigest([...files].reverse())).toBe(digest);
    expect(agentCodeDigest([windows, ...files.slice(1)])).toBe(digest);
  });

  it("are others with any byte changed, a file renamed, added or removed, and with line ends in what is no text", () => {
    const others = [
      [{ path: "main.py", content: formatUtf8("a = 1\nb = 3\n") }, ...files.slice(1)],
      [{ path: "main2.py", content: files[0]?.content ?? new Uint8Array() }, ...files.slice(1)],
      [...files, { path: "more.py", content: new Uint8Array() }],
      files.slice(1),
      [...files.slice(0, 1), { path: "data/x.bin", content: Uint8Array.of(10, 0, 255) }],
      [{ path: "main.py", content: formatUtf8("a = 1\nb = 2") }, ...files.slice(1)],
    ].map(agentCodeDigest);
    expect(new Set([...others, digest]).size).toBe(7);
  });

  it("keep everything else: blanks, a mark that is not the first, and bytes that are not UTF-8", () => {
    const text = formatUtf8("  a \u00a0\ufeff\n\n");
    expect(normaliseFile(text)).toEqual(text);
    expect(normaliseFile(Uint8Array.of(0xff, 13, 10))).toEqual(Uint8Array.of(0xff, 13, 10));
  });

  it("need a file, and a path once", () => {
    expect(codeOf(() => agentCodeDigest([]))).toBe("ERR_SHAPE");
    expect(codeOf(() => agentCodeDigest([...files, ...files]))).toBe("ERR_SHAPE");
  });

  it("are not its metadata, whose members may stand in any order", () => {
    const one = agentMetadataDigest({ name: "support", version: "1" });
    expect(agentMetadataDigest({ version: "1", name: "support" })).toBe(one);
    expect(agentMetadataDigest({ version: "2", name: "support" })).not.toBe(one);
  });
});
