/** `artifact.session`: what receipts name, against the files that somebody hands in; each fault has its own verdict. */

import { describe, expect, it } from "vitest";
import { commitJson } from "../../kernel/commitment.ts";
import { formatHex } from "../../kernel/hex.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { openBytes, openField } from "../../kernel/opening.ts";
import { type PolicyArtifactBody, sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { ABSENT, notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { SealedLimits } from "../../kernel/sealed-limits.ts";
import { type SessionArtifactBody, sealSessionArtifact, sessionHash } from "../../kernel/session-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { TrustPolicyJson } from "../../kernel/trust-policy.ts";
import { judgeSessionArtifacts } from "../../verifier/session-artifacts.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { disclosureOf } from "../support/disclosures.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import {
  CATALOG_DIGEST,
  decide,
  denied,
  type Evidence,
  type EvidenceOptions,
  finish,
  LOADS,
  makeEvidence,
  POLICY_DIGEST,
  START_MS,
  type Step,
  say,
  sessionId,
  wordOf,
} from "../support/evidence.ts";
import { ALL_LIMITS, artifactBody, SEAL_RULE, SEALERS, sessionArtifactBody } from "../support/policy-artifact.ts";
import { type ContentOf, receiptContents } from "../support/receipts.ts";
import { sampled } from "../support/sweep.ts";

type Decision = ContentOf<"decision">;

const [alice, bob, mallory] = SEALERS;
const HOUR_MS = 3_600_000;
const FROM = formatTimestamp(START_MS - HOUR_MS);
const TO = formatTimestamp(START_MS + HOUR_MS);
const policy = { digest: POLICY_DIGEST, version: "1.0.0" };
const upstreams: SessionArtifactBody["upstreams"] = [
  { server: "everything", identity: { kind: "http", url: "http://s.example/mcp" } },
];

const gatewayBody = (changes: Partial<PolicyArtifactBody> = {}): PolicyArtifactBody => ({
  ...artifactBody({ not_before: FROM, not_after: TO, policy, catalog: CATALOG_DIGEST, upstreams, workflows: [] }),
  tools: ["everything/*"],
  ...changes,
});
const { cedar: _, session: __, ...bare } = sessionArtifactBody();
const narrowBody = (changes: Partial<SessionArtifactBody> = {}): SessionArtifactBody => ({
  ...bare,
  not_before: FROM,
  not_after: TO,
  policy,
  catalog: CATALOG_DIGEST,
  upstreams,
  tools: ["everything/echo"],
  ...changes,
});
const both = [alice.signer, bob.signer];
const sealNarrow = (changes: Partial<SessionArtifactBody> = {}): Uint8Array =>
  sealSessionArtifact(narrowBody(changes), both);
const outer = sealArtifact(gatewayBody(), both);
const narrow = sealNarrow();

const sealers: NonNullable<TrustPolicyJson["sealers"]> = {
  threshold: 2,
  signers: SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) })),
};

/** A session that is opened under `file` with one call, receipts 3 and 4, changed by `change`. */
interface Story {
  readonly file?: Uint8Array;
  readonly change?: (decision: Decision) => Decision;
  readonly outer?: Uint8Array;
  readonly open?: Partial<ContentOf<"session-open">>;
  /** Behind the call. */
  readonly more?: readonly Step[];
  readonly evidence?: EvidenceOptions;
}

const under = (file: Uint8Array, own: Uint8Array = outer) => {
  return (decision: Decision): Decision => {
    const ref = { ...policy, artifact: present(digestFile(own)), session_artifact: digestFile(file) };
    return { ...decision, policy: present(ref) };
  };
};

function tell(story: Story = {}): Promise<Evidence> {
  const { file = narrow, change = (same) => same, outer: own = outer, more = [] } = story;
  const contents = receiptContents();
  const session = { ...contents["session-open"].session, id: sessionId(1) };
  const open = { ...contents["session-open"], session, session_artifact: digestFile(file), ...story.open };
  return makeEvidence({
    steps: [...LOADS, say(open), decide(0, (decision) => change(under(file, own)(decision))), ...more],
    trust: { sealers, require: ["artifact.session"] },
    ...story.evidence,
  });
}

/** Verdict and subject's seq about evidence with these files. */
function judged(
  { bytes, trust, stream }: Pick<Evidence, "bytes" | "trust" | "stream">,
  sessions: readonly Uint8Array[] | undefined,
  { gateways = [], disclosure }: { gateways?: readonly Uint8Array[]; disclosure?: Uint8Array } = {},
): readonly [string, string, number] {
  const result = verifyBundle({
    bundle: bytes,
    trust,
    ...(sessions === undefined ? {} : { sessionArtifacts: sessions }),
    ...(gateways.length === 0 ? {} : { build: { artifacts: gateways, provenance: [] } }),
    ...(disclosure === undefined ? {} : { disclosure }),
  });
  const found = result.obligations.find(({ id }) => id === "artifact.session");
  const subject = found === undefined || found.verdict === "pass" ? "" : found.subject.replace(`${stream}/`, "");
  return [wordOf(result, "artifact.session"), subject, result.exit];
}

const PASS = ["pass", "", 0];

describe("a session artifact that receipts name", () => {
  it("passes with its file, alone or with the gateway's own", async () => {
    const evidence = await tell();
    expect(judged(evidence, [narrow])).toEqual(PASS);
    expect(judged(evidence, [narrow, sealNarrow({ version: 9 })], { gateways: [outer] })).toEqual(PASS);
    const receipts = evidence.receipts.map(({ receipt }) => receipt);
    const details = [[], [outer]].map((gateways) => {
      const files = { sessions: [narrow], gateways };
      return judgeSessionArtifacts({ receipts, openings: [], files, rule: SEAL_RULE }).detail;
    });
    expect(details).toEqual([
      "1 artifacts, 1 calls sent; 0 within a gateway's own that is there",
      "1 artifacts, 1 calls sent; 1 within a gateway's own that is there",
    ]);
  });

  it("is not established without its file, without a pinned sealer, and where no receipt names one", async () => {
    const evidence = await tell();
    expect(judged(evidence, undefined)).toEqual(["session-artifact.not-disclosed", "3", 2]);
    expect(judged(evidence, [])).toEqual(["session-artifact.not-disclosed", "3", 2]);
    const unpinned = await tell({ evidence: { trust: { require: ["artifact.session"] } } });
    expect(judged(unpinned, [narrow])).toEqual(["session-artifact.sealers-none-pinned", "trust policy", 2]);
    const plain = await makeEvidence({ trust: { sealers, require: ["artifact.session"] } });
    expect(judged(plain, [narrow])).toEqual(["session-artifact.none", "bundle", 2]);
    expect(judged(plain, undefined)).toEqual(["session-artifact.none", "bundle", 2]);
  });

  it("is not judged if nobody asks, and decides nothing if it is not required", async () => {
    const evidence = await tell({ evidence: { trust: { require: ["bundle.digest"] } } });
    const [asked, not] = [[narrow], undefined].map((sessionArtifacts) =>
      verifyBundle({
        bundle: evidence.bytes,
        trust: evidence.trust,
        ...(sessionArtifacts === undefined ? {} : { sessionArtifacts }),
      }),
    );
    expect([asked, not].map((result) => result?.obligations.some(({ id }) => id === "artifact.session"))).toEqual([
      true,
      false,
    ]);
    expect([asked?.exit, not?.exit]).toEqual([0, 0]);
  });

  it("counts only together with the signatures of the receipts", async () => {
    const evidence = await tell({ evidence: { trust: { sealers, gateways: [], require: ["artifact.session"] } } });
    expect(judged(evidence, [narrow])[0]).toBe("receipts.unauthenticated");
  });

  it("fails with any byte changed and cut anywhere: it is another file", async () => {
    const evidence = await tell();
    const receipts = evidence.receipts.map(({ receipt }) => receipt);
    for (const bytes of sampled([...oneByteChanges(narrow), ...bytePrefixes(narrow)], 37)) {
      const files = { sessions: [bytes], gateways: [] };
      const judgement = judgeSessionArtifacts({ receipts, openings: [], files, rule: SEAL_RULE });
      expect(judgement).toMatchObject({ code: "ERR_ARTIFACT_DIGEST", subject: `${evidence.stream}/3` });
    }
  });

  it.each<readonly [string, Uint8Array, string]>([
    ["one signature too few", sealSessionArtifact(narrowBody(), [alice.signer]), "ERR_ARTIFACT_THRESHOLD"],
    ["a seal of nobody's", sealSessionArtifact(narrowBody(), [alice.signer, mallory.signer]), "ERR_ARTIFACT_UNSIGNED"],
    ["a signature that was changed", breakSeal(), "ERR_ARTIFACT_UNSIGNED"],
    ["a gateway's own artifact", outer, "ERR_SHAPE"],
    ["a file cut short", narrow.subarray(0, 99), "ERR_JSON_SYNTAX"],
    ["nothing", new Uint8Array(), "ERR_JSON_SYNTAX"],
    ["a file that is too large", new Uint8Array(1_048_577), "ERR_ENTRY_LENGTH"],
  ])("fails if what receipts name is %s", async (_name, file, code) => {
    expect(judged(await tell({ file }), [file])).toEqual([code, "3", 1]);
  });

  it("fails if it bounds a tool more loosely than the gateway's own of version 2, and passes if not", async () => {
    const bound = (most: number): SealedLimits => ({
      calls_per_minute: { tools: [{ tool: "everything/echo", limit: most }] },
    });
    const { calls_per_minute: rate, ...rest } = ALL_LIMITS;
    const limits = { ...rest, calls_per_minute: { ...rate, ...bound(3).calls_per_minute } };
    const own = sealArtifact(gatewayBody({ v: 2, limits }), both);
    for (const [most, expected] of [
      [3, PASS],
      [4, ["ERR_ARTIFACT_WIDER", "4", 1]],
    ] as const) {
      const file = sealNarrow({ v: 2, limits: bound(most) });
      expect(judged(await tell({ file, outer: own }), [file], { gateways: [own] })).toEqual(expected);
    }
  });

  it("fails if it is wider than the gateway's own, where that is handed in and its seal holds", async () => {
    const file = sealNarrow({ tools: ["everything/add", "everything/echo"] });
    const own = sealArtifact(gatewayBody({ tools: ["everything/echo"] }), both);
    const evidence = await tell({ file, outer: own });
    expect(judged(evidence, [file], { gateways: [own] })).toEqual(["ERR_ARTIFACT_WIDER", "4", 1]);
    expect(judged(evidence, [file], { gateways: [outer] })).toEqual(PASS);
    const unsealed = sealArtifact(gatewayBody(), [mallory.signer]);
    const other = await tell({ outer: unsealed });
    expect(judged(other, [narrow], { gateways: [unsealed] })).toEqual(["ERR_ARTIFACT_UNSIGNED", "4", 1]);
  });
});

/** The first signature with its last hexadecimal digits another. */
function breakSeal(): Uint8Array {
  const text = new TextDecoder().decode(narrow);
  const [, sig = ""] = /"sig":"([^"]{8})/u.exec(text) ?? [];
  return new TextEncoder().encode(text.replace(sig, sig.startsWith("AAAA") ? "BBBBBBBB" : "AAAAAAAA"));
}

describe("calls under a session artifact", () => {
  const server = receiptContents().decision.server;
  const other = server.state === "present" ? present({ ...server.value, id: "other" }) : server;
  const called = (name: string): ((decision: Decision) => Decision) => {
    return (decision) => ({ ...decision, wire: { ...decision.wire, mcp_name: present({ form: "name", name }) } });
  };
  const atMs = START_MS + 4_000;

  it.each<readonly [string, Story, string]>([
    ["at its end", { file: sealNarrow({ not_after: formatTimestamp(atMs) }) }, "ERR_ARTIFACT_TIME"],
    ["before it began", { file: sealNarrow({ not_before: formatTimestamp(atMs + 1) }) }, "ERR_ARTIFACT_TIME"],
    ["to a tool that it has not", { change: called("add") }, "ERR_ARTIFACT_SCOPE"],
    ["to a server that it has not", { change: (decision) => ({ ...decision, server: other }) }, "ERR_ARTIFACT_SCOPE"],
    [
      "of another method to a server that it has not",
      {
        change: (decision) => ({
          ...decision,
          server: other,
          wire: { ...decision.wire, mcp_method: present("resources/read") },
        }),
      },
      "ERR_ARTIFACT_SCOPE",
    ],
    [
      "under another policy",
      { file: sealNarrow({ policy: { digest: digestFile("other"), version: "1.0.0" } }) },
      "ERR_ARTIFACT_MISMATCH",
    ],
    ["under another catalog", { file: sealNarrow({ catalog: digestFile("other") }) }, "ERR_ARTIFACT_MISMATCH"],
    [
      "in a weaker mode",
      { change: (decision) => ({ ...decision, ruling: { ...decision.ruling, mode: "advisory" } }) },
      "ERR_ARTIFACT_MISMATCH",
    ],
  ])("fail if one was sent %s", async (_name, story, code) => {
    expect(judged(await tell(story), [story.file ?? narrow])).toEqual([code, "4", 1]);
  });

  it("pass at its first moment and its last", async () => {
    for (const changes of [{ not_before: formatTimestamp(atMs) }, { not_after: formatTimestamp(atMs + 1) }]) {
      const file = sealNarrow(changes);
      expect(judged(await tell({ file }), [file])).toEqual(PASS);
    }
  });

  it("pass where they were refused: behind its end, outside of its tools, under a policy that it is not for", async () => {
    const over = sealNarrow({ not_after: formatTimestamp(START_MS), policy: { ...policy, version: "2.0.0" } });
    expect(judged(await tell({ file: over, change: denied }), [over])).toEqual(PASS);
    expect(judged(await tell({ change: (decision) => denied(called("add")(decision)) }), [narrow])).toEqual(PASS);
  });

  it("pass outside of its tools where a weaker mode sent what it would have denied", async () => {
    const file = sealNarrow({ mode: "advisory" });
    const sent = (decision: Decision): Decision => {
      const ruling = { mode: "advisory", judgement: "deny", would_deny: true, reasons: ["artifact.scope"] } as const;
      return { ...called("add")(decision), ruling: { ...decision.ruling, ...ruling } };
    };
    expect(judged(await tell({ file, change: sent }), [file])).toEqual(PASS);
  });

  it("need a name or a disclosure of it, unless the artifact has every tool of the server", async () => {
    const secret = new Uint8Array(32).fill(1);
    const messageOf = (name: string) => ({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });
    for (const [name, word] of [
      ["echo", "pass"],
      ["wipe", "ERR_ARTIFACT_SCOPE"],
    ] as const) {
      const message = messageOf(name);
      const bytes = canonicalBytes(message);
      const root = commitJson(secret, "request_sent", message, bytes);
      const hidden = (decision: Decision): Decision => ({
        ...decision,
        request_sent: present({ scheme: "countersign/fields/v1", root }),
        wire: {
          ...decision.wire,
          mcp_name: present({ form: "commitment", commitment: { scheme: "countersign/fields/v1", root } }),
        },
      });
      const evidence = await tell({ change: hidden });
      expect(judged(evidence, [narrow])).toEqual(["session-artifact.tool-not-named", "4", 2]);
      const openings = [
        openField(secret, "request_sent", message, bytes, "/params/name"),
        openBytes(secret, "request_sent", message, bytes),
      ];
      for (const opening of openings) {
        const receipt = formatHex(evidence.receipts[4]?.hash ?? new Uint8Array());
        const item = {
          stream: evidence.stream,
          seq: 4,
          receipt,
          member: "request_sent",
          state: "opened",
          opening,
        } as const;
        const disclosure = disclosureOf(item);
        expect(judged(evidence, [narrow], { disclosure })[0]).toBe(word);
      }
      const all = sealNarrow({ tools: ["everything/*"] });
      expect(judged(await tell({ file: all, change: hidden }), [all])).toEqual(PASS);
    }
  });
});

describe("whom a session artifact binds", () => {
  const { session: place } = receiptContents().decision;
  const inSession = (decision: Decision, changes: Partial<ContentOf<"session-open">["session"]>): Decision =>
    place.state === "present"
      ? { ...decision, session: present({ ...place.value, id: sessionId(2), ...changes }) }
      : decision;
  const again = (change: (decision: Decision) => Decision, file = narrow): readonly Step[] => [
    finish(4),
    decide(1, (decision) => change(under(file)(decision)), 1),
  ];
  const session = { source: "mcp-session-id", id: sessionHash("session-1") } as const;
  const ofOne = sealNarrow({ session });

  it("is of the issuer that the receipts name, and a bare name only a launcher's", async () => {
    const foreign = sealNarrow({ subject: { principal: "idp|example-agent" } });
    expect(judged(await tell({ file: foreign }), [foreign])).toEqual(["ERR_ARTIFACT_SUBJECT", "3", 1]);
    const named = sealNarrow({ subject: { principal: "alice" } });
    expect(judged(await tell({ file: named }), [named])).toEqual(["ERR_ARTIFACT_SUBJECT", "3", 1]);
    const launched = receiptContents()["session-open"].session;
    const open = { session: { ...launched, id: sessionId(1), source: "launcher" } } as const;
    const change = (decision: Decision): Decision => ({ ...decision, wire: { ...decision.wire, transport: "stdio" } });
    expect(judged(await tell({ file: named, open, change }), [named])).toEqual(PASS);
  });

  it("is one agent: a second one under the same artifact is a fault, and one that is not known is a doubt", async () => {
    const id = "ab".repeat(32);
    const second = again((decision) => ({ ...decision, principal: present({ issuer: "local", id }) }));
    expect(judged(await tell({ more: second }), [narrow])).toEqual(["ERR_ARTIFACT_SUBJECT", "6", 1]);
    const unknown = again((decision) => ({ ...decision, principal: notEstablished("field.not-reached") }));
    expect(judged(await tell({ more: unknown }), [narrow])).toEqual(["session-artifact.subject-unknown", "6", 2]);
    const nowhere = again((decision) => ({ ...decision, session: notEstablished("field.not-reached") }), ofOne);
    expect(judged(await tell({ file: ofOne, more: nowhere }), [ofOne])).toEqual([
      "session-artifact.subject-unknown",
      "6",
      2,
    ]);
  });

  it("is one session where it names one: not another source's, and not a second", async () => {
    const second = { more: again((decision) => inSession(decision, { key: "ab".repeat(32) }), ofOne), file: ofOne };
    expect(judged(await tell(second), [ofOne])).toEqual(["ERR_ARTIFACT_SUBJECT", "6", 1]);
    expect(judged(await tell({ more: again((one) => inSession(one, { key: "ab".repeat(32) })) }), [narrow])).toEqual(
      PASS,
    );
    const claimed = sealNarrow({ session: { ...session, source: "token-claim" } });
    expect(judged(await tell({ file: claimed }), [claimed])).toEqual(["ERR_ARTIFACT_SUBJECT", "3", 1]);
  });

  it("is not left out in the middle of a session, but renewed", async () => {
    const newer = sealNarrow({ version: 2 });
    expect(judged(await tell({ more: again((same) => same, newer) }), [narrow, newer])).toEqual(PASS);
    expect(judged(await tell({ more: again((same) => same, newer) }), [narrow])).toEqual([
      "session-artifact.not-disclosed",
      "6",
      2,
    ]);
    const left = [
      finish(4),
      decide(1, (decision) => ({ ...decision, policy: present({ ...policy, artifact: ABSENT }) })),
    ];
    expect(judged(await tell({ more: left }), [narrow])).toEqual(["ERR_ARTIFACT_SUBJECT", "6", 1]);
    expect(judged(await tell({ more: [finish(4), decide(1, denied)] }), [narrow])).toEqual(PASS);
  });
});
