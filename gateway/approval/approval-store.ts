/**
 * Approvals that are open, and those that ended of late, in one file that is replaced at once or not at all. Arguments are
 * not in it: only their keyed hashes.
 */

import { MAX_CHAIN } from "../../kernel/mandate/mandate.ts";
import type { MandateLink } from "../../kernel/mandate/mandate-chain.ts";
import { hex64Shape, serverIdShape } from "../../kernel/receipt/fields.ts";
import {
  APPROVAL_EVIDENCES,
  APPROVAL_NOTICES,
  type ApprovalEvidence,
  type ApprovalNotice,
} from "../../kernel/receipt/vocabulary.ts";
import { array, hex, integer, literal, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { kidShape } from "../../kernel/signature/public-key.ts";
import { ControlFile } from "../controls/control-file.ts";
import { APPROVAL_STATES, type ApprovalState, isOpen } from "./approval-state.ts";

/** What one determining forbid wants. */
export type Demand = { readonly policy: string; readonly approvers: readonly string[]; readonly ttlSeconds: number };

/** Who granted it. */
export type Grant = { readonly issuer: string; readonly id: string; readonly evidence: ApprovalEvidence };

/** One approval. */
export type Approval = {
  readonly id: string;
  /** Keyed hash of principal, server, tool and arguments: the same call finds it again. */
  readonly match: string;
  /** Digest of everything that it is bound to. */
  readonly binding: string;
  /** Keyed hash of the requester. */
  readonly principal: string;
  /** Keyed hashes of those who act for it, or for whom it acts. */
  readonly parties?: readonly string[];
  readonly server: string;
  readonly tool: string;
  readonly demands: readonly Demand[];
  readonly state: ApprovalState;
  readonly requestedMs: number;
  readonly expiresMs: number;
  /** Number of the decision that holds the call. */
  readonly seq: number;
  /** How people were told of it, sorted, each once. */
  readonly notified?: readonly ApprovalNotice[];
  /** The mandates that the call carried. */
  readonly links?: readonly MandateLink[];
  readonly grant?: Grant;
};

type ApprovalFile = { readonly v: 1; readonly approvals: readonly Approval[] };

const NAME = "approvals.json";
const MAX_OPEN = 1_000;
const MAX_ENDED = 1_000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
const text: Shape<string> = string({ maxLength: 1_024 });

const approvalShape: Shape<Approval> = object<Approval>({
  id: hex(16),
  match: hex64Shape,
  binding: hex64Shape,
  principal: hex64Shape,
  parties: optional(array(hex64Shape, { max: 16 })),
  server: serverIdShape,
  tool: text,
  demands: array(
    object<Demand>({ policy: text, approvers: array(text, { max: 64 }), ttlSeconds: integer({ min: 1 }) }),
    { max: 256 },
  ),
  state: literal(...APPROVAL_STATES),
  requestedMs: integer(),
  expiresMs: integer(),
  seq: integer(),
  notified: optional(array(literal(...APPROVAL_NOTICES), { min: 1 })),
  links: optional(array(object<MandateLink>({ hash: hex64Shape, issuer: kidShape }), { max: MAX_CHAIN })),
  grant: optional(object<Grant>({ issuer: text, id: hex64Shape, evidence: literal(...APPROVAL_EVIDENCES) })),
});

const fileShape: Shape<ApprovalFile> = object<ApprovalFile>({
  v: literal(1),
  approvals: array(approvalShape, { max: MAX_OPEN + MAX_ENDED }),
});

/** The approvals of a gateway. */
export class ApprovalStore {
  readonly #file: ControlFile<ApprovalFile>;
  readonly #approvals: Map<string, Approval>;

  private constructor(file: ControlFile<ApprovalFile>, approvals: readonly Approval[]) {
    this.#file = file;
    this.#approvals = new Map(approvals.map((one) => [one.id, one]));
  }

  /** @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read */
  static async open(folder: string): Promise<ApprovalStore> {
    const file = new ControlFile<ApprovalFile>(folder, NAME);
    return new ApprovalStore(file, (await file.read(fileShape, MAX_FILE_BYTES))?.approvals ?? []);
  }

  all(): readonly Approval[] {
    return [...this.#approvals.values()];
  }

  get(id: string): Approval | undefined {
    return this.#approvals.get(id);
  }

  /** The open approval that a call finds. */
  find(match: string): Approval | undefined {
    return this.all().find((one) => one.match === match && isOpen(one.state));
  }

  get isFull(): boolean {
    return this.all().filter(({ state }) => isOpen(state)).length >= MAX_OPEN;
  }

  /** Holds at once; durable when the promise resolves. @throws {StoreError} ERR_CONTROL_FILE */
  put(approval: Approval): Promise<void> {
    this.#approvals.set(approval.id, approval);
    const ended = this.all().filter(({ state }) => !isOpen(state));
    for (const { id } of ended.slice(0, Math.max(0, ended.length - MAX_ENDED))) this.#approvals.delete(id);
    return this.#file.write(() => ({ v: 1, approvals: this.all() }));
  }
}
