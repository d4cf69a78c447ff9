import { request as httpsRequest } from "node:https";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { sealArtifact } from "../../kernel/policy-artifact.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import type { StreamReceipt } from "../../kernel/receipt/receipt.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { agentPod, GATEWAY_IMAGE, REVIEW_UID, type ReviewChanges, reviewOf } from "../support/admission-reviews.ts";
import { issue, type TestCertificate } from "../support/certificates.ts";
import { codeFrom, codeOf } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  configOf,
  type GatewayBench,
  makeGatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  readStream,
} from "../support/gateway-run.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";

const authority = issue({ subject: ["CN=cluster"], isAuthority: true });
const own = issue({ subject: ["CN=admission"], names: ["IP:127.0.0.1"] }, authority);
const apiServer = issue({ subject: ["CN=kube-apiserver"] }, authority);
const stranger = issue({ subject: ["CN=stranger"] });

const [alice, bob] = SEALERS;
const sealed = sealArtifact(
  artifactBody({ not_before: formatTimestamp(0), not_after: formatTimestamp(4_070_908_800_000) }),
  [alice.signer, bob.signer],
);
const ARTIFACT = digestFile(sealed);

const CONFIG: JsonObject = {
  listen: { port: 0, tls: { cert_file: "cert", key_file: "key" } },
  artifacts_dir: "artifacts",
  namespaces: ["agents"],
  gateway_images: [GATEWAY_IMAGE],
  signers: SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) })),
  threshold: 2,
};

let ledger: FakeLedger;
let gateway: RunningGateway | undefined;
let bench: GatewayBench | undefined;
beforeEach(async () => {
  ledger = await startFakeLedger();
});
afterEach(async () => {
  await gateway?.close();
  bench?.remove();
  [gateway, bench] = [undefined, undefined];
  await ledger.close();
});

const FILES: ReadonlyMap<string, string> = new Map([
  ["cert", own.cert],
  ["key", own.key],
  ["ca", authority.cert],
]);

async function start(changes: JsonObject = {}): Promise<void> {
  const upstream = makeFakeUpstream("s");
  const config = { kubernetes: { ...CONFIG, ...changes } };
  bench = makeGatewayBench(ledger.url, { upstreams: [upstream], config });
  gateway = await startGateway({
    ...bench.gatewayOptions,
    readFile: (path) => formatUtf8(FILES.get(path) ?? ""),
    readSealedArtifacts: () => [sealed],
  });
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly kind?: string;
    readonly apiVersion?: string;
    readonly response?: {
      readonly uid: string;
      readonly allowed: boolean;
      readonly status?: { readonly code: number; readonly message: string };
      readonly auditAnnotations?: { readonly receipt: string };
    };
    readonly error?: { readonly code: string };
  };
}

function post(body: string, client?: TestCertificate, type = "application/json"): Promise<Answer> {
  const tls = { ca: authority.cert, ...(client === undefined ? {} : { cert: client.cert, key: client.key }) };
  return new Promise((resolve, reject) => {
    const url = `${gateway?.admissionUrl}/admit?timeout=10s`;
    const request = httpsRequest(url, { method: "POST", headers: { "content-type": type }, agent: false, ...tls });
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString("utf8")) }),
      );
    });
    request.end(body);
  });
}

function review(artifact: string, changes: ReviewChanges = {}): string {
  const pod = agentPod(artifact, {
    labels: { "countersign.dev/role": "gateway" },
    annotations: { "countersign.dev/gateway": "support-eu" },
    containers: [{ name: "gateway", image: `registry.example/gateway@${GATEWAY_IMAGE}` }],
  });
  return JSON.stringify(reviewOf(pod, changes));
}

async function receipts(): Promise<readonly StreamReceipt[]> {
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` };
  const answer = await fetch(`${gateway?.operatorUrl}/status`, { headers });
  const { stream }: { readonly stream: string } = JSON.parse(await answer.text());
  return readStream(bench?.folder ?? "", stream);
}

describe("the admission webhook", () => {
  it("lets a sealed pod be and refuses another, under the uid of the review, and keeps a receipt of each", async () => {
    await start();
    const good = await post(review(ARTIFACT));
    expect(good).toMatchObject({
      status: 200,
      body: {
        kind: "AdmissionReview",
        apiVersion: "admission.k8s.io/v1",
        response: { uid: REVIEW_UID, allowed: true },
      },
    });
    const bad = await post(review(""));
    expect(bad.body.response).toMatchObject({ uid: REVIEW_UID, allowed: false, status: { code: 403 } });
    expect(bad.body.response?.status?.message).toContain("countersign.dev/policy-artifact");
    const kept = ofKind(await receipts(), "admission");
    expect(kept.map(({ allowed, reason }) => [allowed, reason])).toEqual([
      [true, "admission.sealed"],
      [false, "admission.unsealed"],
    ]);
    expect(kept[0]).toMatchObject({
      operation: "create",
      resource: "pods",
      review: { state: "present" },
      requester: { state: "present", value: { issuer: "kubernetes" } },
      role: { state: "present", value: "gateway" },
      artifact: { state: "present", value: ARTIFACT },
      images: { state: "present", value: [GATEWAY_IMAGE] },
      code: { state: "not_established", reason: "field.not-reached" },
    });
    const named = [good, bad].map(({ body }) => body.response?.auditAnnotations?.receipt);
    expect(named).toEqual(kept.map(({ stream, seq }) => `${stream}/${seq}`));
    expect(JSON.stringify(kept)).not.toMatch(/replicaset-controller|"agents"|x2lqp/u);
  });

  it("judges a dry run alike and keeps no receipt of it", async () => {
    await start();
    const dry = await post(review("", { dryRun: true }));
    expect(dry.body.response).toMatchObject({ uid: REVIEW_UID, allowed: false });
    expect(dry.body.response?.auditAnnotations).toBeUndefined();
    expect(ofKind(await receipts(), "admission")).toHaveLength(0);
  });

  it.each([
    ["no review", "{}", "application/json", 400, "admission.unreadable"],
    ["no JSON", "{", "application/json", 400, "admission.unreadable"],
    ["another media type", "{}", "text/plain", 415, "admission.unreadable"],
    ["more than the limit", " ".repeat(4 * 1024 * 1024 + 1), "application/json", 413, "json.size"],
  ] as const)("answers %s with an error and a receipt", async (_what, body, type, status, reason) => {
    await start();
    expect((await post(body, undefined, type)).status).toBe(status);
    expect(ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons)).toEqual([[reason]]);
  });

  it("with client_auth require answers the cluster alone", async () => {
    const tls = { cert_file: "cert", key_file: "key", client_ca_file: "ca", client_auth: "require" };
    await start({ listen: { port: 0, tls } });
    expect((await post(review(ARTIFACT))).status).toBe(401);
    expect((await post(review(ARTIFACT), stranger)).status).toBe(401);
    expect((await post(review(ARTIFACT), apiServer)).body.response?.allowed).toBe(true);
    expect(ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons[0])).toEqual([
      "auth.certificate",
      "auth.certificate",
    ]);
  });

  it("refuses what is above its rate, in a count", async () => {
    await start({ reviews_per_minute: 1 });
    expect((await post(review(ARTIFACT))).body.response?.allowed).toBe(true);
    expect((await post(review(ARTIFACT))).body.response?.allowed).toBe(false);
    expect(ofKind(await receipts(), "decision").map(({ ruling }) => ruling.reasons)).toEqual([["limit.total"]]);
  });

  it("is not started without a certificate, or one that does not fit its key", async () => {
    const bare = (kubernetes: JsonObject): JsonObject =>
      configOf("/tmp/x", "http://127.0.0.1:1", [{ id: "s" }], { config: { kubernetes } });
    expect(codeOf(() => parseGatewayConfig(bare({ ...CONFIG, listen: { port: 0 } })))).toBe("ERR_SHAPE");
    expect(codeOf(() => parseGatewayConfig(bare({ ...CONFIG, threshold: 3 })))).toBe("ERR_SHAPE");
    const tls = { cert_file: "ca", key_file: "key" };
    expect(await codeFrom(start({ listen: { port: 0, tls } }))).toBe("ERR_CERTIFICATE");
  });
});
