/** Judges reviews and keeps a receipt of each before it is answered; of a dry run none, as nothing comes of it. */

import { StoreError } from "../../kernel/errors.ts";
import type { AdmissionBody } from "../../kernel/receipt/admission.ts";
import { notEstablished, type Observed, present } from "../../kernel/receipt/observed.ts";
import { formatReceiptRef } from "../edge/agent-request.ts";
import { RateWindow } from "../limits/rate-window.ts";
import { commitMessage } from "../pipeline/commitments.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { Outbox } from "../receipts/outbox.ts";
import type { Recorder, Unplaced } from "../receipts/recorder.ts";
import type { AdmissionAnswer, AdmissionRequest } from "./admission-review.ts";
import { type AdmissionJudgement, type AdmissionRules, judgeAdmission } from "./judge-admission.ts";

/** What the desk works with. */
export interface AdmissionDeskOptions {
  readonly recorder: Pick<Recorder, "append" | "stream">;
  readonly outbox: Pick<Outbox, "requireRoom">;
  readonly names: KeyedNames;
  readonly monotonicMs: () => number;
}

/** Answers reviews. */
export interface AdmissionDesk {
  /**
   * @returns undefined if there were too many in the last minute
   * @throws {StoreError} ERR_STREAM_FAILED, ERR_OUTBOX_FULL: no receipt could be kept, so nothing is answered
   */
  readonly answer: (
    request: AdmissionRequest,
    bytes: Uint8Array,
    rules: AdmissionRules,
    perMinute: number,
  ) => Promise<AdmissionAnswer | undefined>;
}

type Body = Extract<Unplaced<AdmissionBody>, { kind: "admission" }>;

/** Issuers of what a cluster names, for keyed hashes. */
const CLUSTER = "kubernetes";
const NAMESPACES = "kubernetes/namespaces";

/** Makes it. */
export function makeAdmissionDesk({ recorder, outbox, names, monotonicMs }: AdmissionDeskOptions): AdmissionDesk {
  const window = new RateWindow();
  const answer: AdmissionDesk["answer"] = async (request, bytes, rules, perMinute) => {
    const judgement = judgeAdmission(request, rules);
    const { allowed, message, warnings } = judgement;
    if (request.isDryRun) return { allowed, message, warnings };
    const now = monotonicMs();
    const { consumed, reserved } = window.counts(now);
    if (consumed + reserved >= perMinute) return undefined;
    window.reserve(now).charge();
    outbox.requireRoom(1);
    const { seq } = await recorder.append((secret) => bodyOf(names, secret, request, bytes, judgement));
    return { allowed, message, warnings, receipt: formatReceiptRef({ stream: recorder.stream, seq }) };
  };
  return { answer };
}

function bodyOf(
  names: KeyedNames,
  secret: Uint8Array,
  { operation, resource, namespace, username }: AdmissionRequest,
  bytes: Uint8Array,
  { role, artifact, images, code, allowed, reason }: AdmissionJudgement,
): Body {
  return {
    kind: "admission",
    review: commitMessage(secret, "review", bytes),
    requester: username === "" ? unread() : present(names.principal({ issuer: CLUSTER, name: username })),
    operation,
    resource,
    namespace: namespace === "" ? unread() : present(names.principal({ issuer: NAMESPACES, name: namespace }).id),
    role: reached(role),
    artifact: reached(artifact),
    images: reached(images),
    code: reached(code),
    allowed,
    reason,
  };
}

function reached<T>(value: T | undefined): Observed<T> {
  return value === undefined ? notEstablished("field.not-reached") : present(value);
}

function unread(): Observed<never> {
  return notEstablished("admission.unreadable");
}

/** The answer of a gateway that cannot keep receipts. @returns a message for the cluster */
export function unavailable(error: unknown): string {
  const code = error instanceof StoreError ? error.code : "ERR_BUG";
  return `countersign: no receipt could be kept (${code}); see the gateway's log`;
}
