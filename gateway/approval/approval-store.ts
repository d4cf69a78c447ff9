/**
 * Approvals that are open, and those that ended of late, in one file that is replaced at once or not at all. Arguments are
 * not in it: only their keyed hashes.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { hex64Shape, serverIdShape } from "../../kernel/receipt/fields.ts";
import { APPROVAL_EVIDENCES, type ApprovalEvidence } from "../../kernel/receipt/vocabulary.ts";
import { array, hex, integer, literal, object, optional, readShape, type Shape, string } from "../../kernel/shape.ts";
import { writeDurably } from "../receipts/write-durably.ts";
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
  readonly server: string;
  readonly tool: string;
  readonly demands: readonly Demand[];
  readonly state: ApprovalState;
  readonly requestedMs: number;
  readonly expiresMs: number;
  /** Number of the decision that holds the call. */
  readonly seq: number;
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
  grant: optional(object<Grant>({ issuer: text, id: hex64Shape, evidence: literal(...APPROVAL_EVIDENCES) })),
});

const fileShape: Shape<ApprovalFile> = object<ApprovalFile>({
  v: literal(1),
  approvals: array(approvalShape, { max: MAX_OPEN + MAX_ENDED }),
});

/** The approvals of a gateway. */
export class ApprovalStore {
  readonly #folder: string;
  readonly #approvals: Map<string, Approval>;
  #written: Promise<void> = Promise.resolve();

  private constructor(folder: string, approvals: readonly Approval[]) {
    this.#folder = folder;
    this.#approvals = new Map(approvals.map((one) => [one.id, one]));
  }

  /** @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read */
  static async open(folder: string): Promise<ApprovalStore> {
    return new ApprovalStore(folder, await readApprovals(join(folder, NAME)));
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
    const written = this.#written.then(async () => {
      const content: ApprovalFile = { v: 1, approvals: this.all() };
      await writeDurably(this.#folder, NAME, `${JSON.stringify(content)}\n`).catch((cause: unknown) => {
        throw new StoreError("ERR_CONTROL_FILE", `${NAME} cannot be written`, { cause });
      });
    });
    this.#written = written.catch(() => undefined);
    return written;
  }
}

async function readApprovals(path: string): Promise<readonly Approval[]> {
  try {
    const bytes = await readFile(path);
    return readShape(fileShape, parseJson(new Uint8Array(bytes), { maxBytes: MAX_FILE_BYTES }), "file").approvals;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    const why = isCodedError(cause) ? `: ${cause.message}` : "";
    throw new StoreError("ERR_CONTROL_FILE", `${path} cannot be read, and nothing runs without it${why}`, { cause });
  }
}
