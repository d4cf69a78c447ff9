/** A pipeline without policy and ledger: remembers what the wire hands it, and does as the test says. */

import type {
  CallOutcome,
  CallRefusal,
  InboundCall,
  Pipeline,
  ReceiptRef,
  Refusal,
  SessionKey,
} from "../../gateway/pipeline/call.ts";
import { StoreError } from "../../kernel/errors.ts";

/** What a fake pipeline saw, and the switches of its faults. */
export interface FakePipeline extends Omit<Pipeline, "mayTell" | "bringLabels"> {
  readonly calls: InboundCall[];
  readonly outcomes: CallOutcome[];
  /** Second outcomes of calls that made tasks, by the id of the call; undefined for one that was dropped. */
  readonly tasks: { readonly callId: string; readonly outcome: CallOutcome | undefined }[];
  /** Ids of calls that were let go of without an outcome. */
  readonly abandoned: string[];
  /** Of those that are decided and have none yet. */
  readonly open: Set<string>;
  readonly refusals: Refusal[];
  readonly sealed: { readonly session: SessionKey; readonly reason: string }[];
  /** Refuses the calls for which it returns something. */
  policy: (call: InboundCall) => CallRefusal | undefined;
  /** What is made of the end of a task. */
  end: (outcome: CallOutcome) => CallOutcome;
  decideFails: boolean;
  finishFails: boolean;
  /** Outcomes are kept when this resolves. */
  kept: Promise<void>;
  mayTell: Pipeline["mayTell"];
  bringLabels: Pipeline["bringLabels"];
}

/** The refusal of a policy. */
export const DENIED: CallRefusal = {
  rpcCode: -31001,
  reason: "policy.forbid",
  policies: ["no-deletes"],
  message: "Deleting is not allowed here.",
};

/** Makes one; receipts are numbered from 0. */
export function makeFakePipeline(): FakePipeline {
  let seq = 0;
  const next = (): ReceiptRef => ({ stream: "ab".repeat(32), seq: seq++ });
  const pipeline: FakePipeline = {
    mode: "enforcing",
    calls: [],
    outcomes: [],
    tasks: [],
    abandoned: [],
    open: new Set(),
    refusals: [],
    sealed: [],
    policy: () => undefined,
    end: (outcome) => outcome,
    decideFails: false,
    finishFails: false,
    kept: Promise.resolve(),
    decide: async (call) => {
      await Promise.resolve();
      if (pipeline.decideFails) throw new StoreError("ERR_STREAM_FAILED", "the disk is gone");
      pipeline.calls.push(call);
      const receipt = next();
      const refusal = pipeline.policy(call);
      if (refusal !== undefined) return { action: "refuse", receipt, refusal };
      const callId = String(receipt.seq);
      pipeline.open.add(callId);
      return {
        action: "forward",
        receipt,
        ticket: { callId, receipt },
        wouldDeny: false,
        toSend: call.toSend,
      };
    },
    abandon: ({ callId }) => {
      if (!pipeline.open.delete(callId)) return undefined;
      pipeline.abandoned.push(callId);
      next();
      return Promise.resolve();
    },
    bringLabels: () => undefined,
    watchStream: () => undefined,
    mayTell: () => true,
    finish: async ({ callId }, outcome) => {
      pipeline.open.delete(callId);
      await pipeline.kept;
      if (pipeline.finishFails) throw new StoreError("ERR_STREAM_FAILED", "the disk is gone");
      pipeline.outcomes.push(outcome);
      next();
      return outcome;
    },
    finishTask: async ({ callId }, outcome) => {
      await Promise.resolve();
      if (pipeline.finishFails) throw new StoreError("ERR_STREAM_FAILED", "the disk is gone");
      pipeline.tasks.push({ callId, outcome });
      next();
      return pipeline.end(outcome);
    },
    dropTask: async ({ callId }) => {
      await Promise.resolve();
      pipeline.tasks.push({ callId, outcome: undefined });
    },
    refuse: async (refusal) => {
      await Promise.resolve();
      pipeline.refusals.push(refusal);
      return next();
    },
    sealSession: async (_caller, session, reason) => {
      await Promise.resolve();
      pipeline.sealed.push({ session, reason });
    },
    sealPrincipal: async () => Promise.resolve(0),
    sealAll: async () => Promise.resolve(0),
  };
  return pipeline;
}
