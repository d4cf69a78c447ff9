/** The operator of a ledger under test, and the pairs of keys that its log may have. */

import { checkLogStatus, type LogStatus, parseLogStatus } from "../../kernel/lifecycle/log-status.ts";
import { makeSignerKey, type SignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { openLogCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  OPERATE,
  SUBMIT,
  type TestLedger,
} from "./ledger-service.ts";
import type { FakeWitness } from "./ledger-witness.ts";

/** A ledger, as far as it is asked. */
export type Asked = Pick<TestLedger, "get" | "post">;

/** Pair `n` of the log; pair 0 is that of `ledger-service.ts`. */
export function ledgerPair(n: number): readonly SignerKey[] {
  if (n === 0) return LEDGER_KEYS;
  return [
    makeSignerKey(LEDGER_ORIGIN, 0x01, new Uint8Array(32).fill(100 + 2 * n)),
    makeSignerKey(LEDGER_ORIGIN, 0x06, new Uint8Array(32).fill(101 + 2 * n)),
  ];
}

/** Has the log say something; the code of the refusal, or the index. */
export async function operate(ledger: Asked, request: object): Promise<number | string | undefined> {
  const answer = await ledger.post("/operator/statements", JSON.stringify(request), OPERATE);
  if (answer.status !== 200) return errorCode(answer);
  const body = (await answer.json()) as { readonly index: number };
  return body.index;
}

/** Adds a raw entry; its index, or the code of the refusal. */
export async function add(ledger: Asked, entry: string): Promise<number | string | undefined> {
  const answer = await ledger.post("/add", entry, SUBMIT);
  return answer.status === 200 ? Number(await answer.text()) : errorCode(answer);
}

/** A policy that pins pairs of the log, and wants every given witness. */
export function pinning(pairs: readonly number[], witnesses: readonly FakeWitness[] = []): string {
  const logs = pairs.flatMap((n) => ledgerPair(n).map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`));
  const lines = witnesses.map(({ policyLine }) => `${policyLine}\n`);
  if (witnesses.length === 0) return `${logs.join("")}quorum none\n`;
  const names = witnesses.map(({ policyLine }) => policyLine.split(" ")[1]).join(" ");
  return `${logs.join("")}${lines.join("")}group all-of-them all ${names}\nquorum all-of-them\n`;
}

/** Waits until the published checkpoint has at least so many entries; its text. */
export async function published(ledger: Asked, size: number): Promise<string> {
  return eventually(async () => {
    const answer = await ledger.get("/checkpoint");
    if (answer.status !== 200) return undefined;
    const note = await answer.text();
    return Number(note.split("\n")[1]) >= size ? note : undefined;
  });
}

/** The pairs whose Ed25519 and ML-DSA-44 lines both hold on a note. */
export function signersOfNote(note: string): readonly number[] {
  return [0, 1, 2].filter((n) =>
    ledgerPair(n).every(({ verifierKey }) => {
      try {
        openLogCheckpoint(note, [verifierKey]);
        return true;
      } catch {
        return false;
      }
    }),
  );
}

/** The status that the ledger serves, checked under a policy. */
export async function statusOf(ledger: Asked, policy: string): Promise<LogStatus> {
  const answer = await ledger.get("/log-status");
  return checkLogStatus(parseLogStatus(new Uint8Array(await answer.arrayBuffer())), parseWitnessPolicy(policy));
}
