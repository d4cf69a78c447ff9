/**
 * Annotations of policies (mcp-gateway §16.4). Built today: `@id`, `@reason`, `@control`, `@decision("advisory")`. The
 * others are refused by name, so that nobody relies on an obligation that nothing carries out.
 */

import { FormatError } from "../../kernel/errors.ts";
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
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
/** As a receipt carries them (kernel/receipt/ruling.ts). */
const CONTROL = /^[A-Za-z0-9][A-Za-z0-9 .:()/-]{0,63}$/;
const MAX_REASON = 200;
const LATER = new Set(["redact", "neutralise", "taint", "approvers", "ttl"]);

/**
 * Reads the annotations of one policy.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE: no `@id`, an unknown or not yet supported annotation, a value out of bounds
 */
export function readAnnotations(file: string, policy: PolicyJson): PolicyNotes {
  const annotations = policy.annotations ?? {};
  const { id = "" } = annotations;
  if (!ID.test(id)) throw refused(file, id, 'every policy needs @id("…") of letters, digits, ".", "_", ":", "-"');
  for (const name of Object.keys(annotations)) checkKnown(file, id, name);
  const { reason, control, decision } = annotations;
  if (reason !== undefined && (reason === "" || reason.length > MAX_REASON)) {
    throw refused(file, id, `@reason: want 1 to ${MAX_REASON} characters`);
  }
  return {
    id,
    effect: policy.effect,
    controls: readControls(file, id, control),
    advisory: readDecision(file, id, policy, decision),
    ...(reason === undefined ? {} : { reason }),
  };
}

function checkKnown(file: string, id: string, name: string): void {
  if (["id", "reason", "control", "decision"].includes(name)) return;
  const why = LATER.has(name) ? "is not supported yet" : "is not known";
  throw refused(file, id, `@${name} ${why}; the policy would promise what nothing does`);
}

function readControls(file: string, id: string, control: string | undefined): readonly string[] {
  const controls = control === undefined ? [] : control.split(",").map((item) => item.trim());
  if (!controls.every((item) => CONTROL.test(item)))
    throw refused(file, id, "@control: want names separated by commas");
  return controls;
}

function readDecision(file: string, id: string, policy: PolicyJson, decision: string | undefined): boolean {
  if (decision === undefined) return false;
  if (decision === "require-approval") throw refused(file, id, '@decision("require-approval") is not supported yet');
  if (decision !== "advisory") throw refused(file, id, '@decision: want "advisory"');
  if (policy.effect !== "forbid") throw refused(file, id, '@decision("advisory") belongs on a forbid');
  return true;
}

function refused(file: string, id: string, why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", `${file}, policy "${id}": ${why}`);
}
