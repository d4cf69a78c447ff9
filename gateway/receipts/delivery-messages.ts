/** What the gateway's serving thread and its delivery thread tell each other. Structured clones; receipts are never among them. */

import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import type { Segment, SegmentBody } from "../../kernel/segment.ts";
import type { WitnessPolicy } from "../../kernel/witness-policy.ts";
import type { OutboxStart } from "./outbox.ts";

/** What a delivery thread is started with. */
export interface DeliveryOrder {
  readonly stream: string;
  readonly start: OutboxStart;
  /** Receipts below this number are written. */
  readonly next: number;
  /** Of the stream's files. */
  readonly folder: string;
  readonly promisesFolder: string;
  readonly ledger: { readonly url: string; readonly submitToken: string; readonly origin: string };
  readonly policy: WitnessPolicy;
  /** The log's keys that sign promises; none if none are asked for. */
  readonly logKeys: readonly VerifierKey[];
}

/** To the thread. */
export type ToDelivery =
  | { readonly type: "start" }
  /** Receipts below this number are durable in the stream's files. */
  | { readonly type: "written"; readonly next: number }
  | { readonly type: "registration"; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: "segment"; readonly id: number; readonly segment: Segment }
  | { readonly type: "unsigned"; readonly id: number; readonly message: string }
  | { readonly type: "stop" };

/** Where the thread is. */
export interface DeliveryState {
  readonly acknowledged: number;
  readonly proven: number;
  readonly fault?: string;
  readonly isFinal: boolean;
}

/** From the thread. */
export type FromDelivery =
  | { readonly type: "state"; readonly state: DeliveryState }
  | {
      readonly type: "fault";
      readonly fields: { readonly code: string; readonly why: string };
      readonly message: string;
    }
  /** Keys stay on the serving thread: it is asked for each signature. */
  | { readonly type: "sign-registration"; readonly id: number }
  | { readonly type: "sign-segment"; readonly id: number; readonly body: SegmentBody }
  /** The thread cannot go on. */
  | { readonly type: "failed"; readonly why: string }
  /** Nothing comes after it. */
  | { readonly type: "stopped"; readonly state: DeliveryState };
