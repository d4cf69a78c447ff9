/**
 * Annotations of policies (mcp-gateway §16.4). Each is validated when the bundle loads, and an unknown one refuses it.
 * Whether a run carries an obligation out is another question (obligations.ts).
 */

import { FormatError } from "../../kernel/errors.ts";
import type { Label } from "../../kernel/receipt/fields.ts";
import { FINDING_CODES } from "../../kernel/receipt/findings.ts";
import type { PolicyJson } from "./cedar.ts";

/** What a policy says beside allow or deny. */
export interface PolicyNotes {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  /** For the person at the agent; at most 200 characters. */
  readonly reason?: string;
  /** Names of controls for evidence. */
  readonly controls: readonly string[];
  /** Counted and recorded, does not deny. */
  readonly advisory: boolean;
  /** Of a forbid that an approval lifts. */
  readonly approval?: ApprovalTerms;
  /** Finding codes, or `<family>.*`, whose places are redacted; empty if none. */
  readonly redact: readonly string[];
  /** True if text that a rule found is made harmless and not taken out. */
  readonly neutralise: boolean;
  /** Labels that the session gets when the call succeeds. */
  readonly taint: readonly Label[];
}

/** Who may lift a forbid, and for how long an approval holds. */
export interface ApprovalTerms {
  /**
   * `role:<name>`, `group:<name>`, `user:<name>`, `host`, `local-user`; one of them is enough. Empty: whoever signs in
   * at the gateway as an approver.
   */
  readonly approvers: readonly string[];
  readonly ttlSeconds: number;
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
/** As a receipt carries them (kernel/receipt/ruling.ts). */
const CONTROL = /^[A-Za-z0-9][A-Za-z0-9 .:()/-]{0,63}$/;
const LABEL = /^[a-z0-9][a-z0-9-]{0,31}$/;
const APPROVER = /^(?:host|local-user|(?:role|group|user):[A-Za-z0-9][A-Za-z0-9._@|:/-]{0,127})$/;
const TTL = /^([1-9]\d{0,5})([smh])$/;
const RULE = /^(?:[a-z]+\.\*|[a-z]+\.[a-z0-9][a-z0-9_.-]{0,58})$/;
const MAX_REASON = 200;
const MAX_ITEMS = 32;
const MAX_TTL_SECONDS = 86_400;
const DEFAULT_TTL_SECONDS = 900;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const KNOWN = ["id", "reason", "control", "decision", "redact", "neutralise", "taint", "approvers", "ttl"] as const;

type Annotations = Readonly<Partial<Record<(typeof KNOWN)[number], string>>>;

/** The policy whose annotations are read. */
interface Subject {
  readonly file: string;
  readonly id: string;
  readonly effect: "permit" | "forbid";
}

/**
 * Reads the annotations of one policy.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE: no `@id`, an unknown annotation, a value out of bounds, one on the wrong effect
 */
export function readAnnotations(file: string, policy: PolicyJson): PolicyNotes {
  const annotations = policy.annotations ?? {};
  const { id = "" } = annotations;
  const subject = { file, id, effect: policy.effect };
  if (!ID.test(id)) throw refused(subject, 'every policy needs @id("…") of letters, digits, ".", "_", ":", "-"');
  const unknown = Object.keys(annotations).find((name) => !KNOWN.some((known) => known === name));
  if (unknown !== undefined) {
    throw refused(subject, `@${unknown} is not known; the policy would promise what nothing does`);
  }
  return { id, effect: policy.effect, ...readDecision(subject, annotations), ...readRest(subject, annotations) };
}

function readRest(
  subject: Subject,
  { reason, control, redact, neutralise, taint }: Annotations,
): Omit<PolicyNotes, "id" | "effect" | "advisory" | "approval"> {
  if (reason !== undefined && (reason === "" || reason.length > MAX_REASON)) {
    throw refused(subject, `@reason: want 1 to ${MAX_REASON} characters`);
  }
  const onPermit = Object.entries({ redact, neutralise, taint }).find(([, value]) => value !== undefined);
  if (onPermit !== undefined && subject.effect !== "permit")
    throw refused(subject, `@${onPermit[0]} belongs on a permit`);
  if (neutralise !== undefined && neutralise !== "on") throw refused(subject, '@neutralise: want "on"');
  return {
    controls: readList(subject, "control", control, (item) => CONTROL.test(item)),
    redact: readList(subject, "redact", redact, isRule),
    neutralise: neutralise === "on",
    taint: readList(subject, "taint", taint, (item) => LABEL.test(item)),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A pattern that no rule has would look like a redaction and be none. */
function isRule(pattern: string): boolean {
  if (!RULE.test(pattern)) return false;
  if (/^(?:op|ext)\./.test(pattern)) return true;
  const family = pattern.endsWith(".*") ? pattern.slice(0, -1) : undefined;
  return Object.keys(FINDING_CODES).some((code) => (family === undefined ? code === pattern : code.startsWith(family)));
}

function readList(
  subject: Subject,
  name: string,
  text: string | undefined,
  isItem: (item: string) => boolean,
): readonly string[] {
  if (text === undefined) return [];
  const items = text.split(",").map((item) => item.trim());
  if (items.length > MAX_ITEMS) throw refused(subject, `@${name}: want at most ${MAX_ITEMS} names`);
  const wrong = items.find((item) => !isItem(item));
  if (wrong !== undefined) throw refused(subject, `@${name}: ${JSON.stringify(wrong)} is not known there`);
  return [...new Set(items)];
}

function readDecision(
  subject: Subject,
  { decision, approvers, ttl }: Annotations,
): Pick<PolicyNotes, "advisory" | "approval"> {
  if (decision !== undefined && subject.effect !== "forbid") throw refused(subject, "@decision belongs on a forbid");
  if (decision !== "require-approval" && (approvers !== undefined || ttl !== undefined)) {
    throw refused(subject, '@approvers and @ttl belong beside @decision("require-approval")');
  }
  switch (decision) {
    case undefined:
      return { advisory: false };
    case "advisory":
      return { advisory: true };
    case "require-approval":
      return {
        advisory: false,
        approval: {
          approvers: readList(subject, "approvers", approvers, (item) => APPROVER.test(item)),
          ttlSeconds: readTtl(subject, ttl),
        },
      };
    default:
      throw refused(subject, '@decision: want "advisory" or "require-approval"');
  }
}

function readTtl(subject: Subject, ttl: string | undefined): number {
  if (ttl === undefined) return DEFAULT_TTL_SECONDS;
  const [, count = "0", unit = ""] = TTL.exec(ttl) ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? 0);
  if (seconds < 1 || seconds > MAX_TTL_SECONDS) throw refused(subject, '@ttl: want "30s" to "24h"');
  return seconds;
}

function refused({ file, id }: Subject, why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", `${file}, policy "${id}": ${why}`);
}
