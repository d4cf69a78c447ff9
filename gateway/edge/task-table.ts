/**
 * Tasks that agents may ask for. An agent knows a task by an id of the gateway's, 192 bits that nobody can guess and that mean
 * nothing at any server; the server's own id stays here. A task belongs to the caller that made it, and to its session where
 * somebody vouches for one. Tasks of modern agents outlast a restart where the gateway keeps them (receipts/left-tasks.ts). Half of
 * an id is a keyed hash of the other half for its caller, so that an id that was given is told from one that never was, and
 * nothing is remembered for it.
 */

import { formatBase64url } from "../../kernel/base64url.ts";
import { errorCode } from "../../kernel/errors.ts";
import { parseHex } from "../../kernel/hex.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { Caller, DecisionTicket, Pipeline, SessionKey } from "../pipeline/call.ts";
import { makeKeyedNames, type TagTask } from "../pipeline/keyed-names.ts";
import type { LeftTask } from "../receipts/left-tasks.ts";
import type { AgentRequest } from "./agent-request.ts";
import { callerKey } from "./caller-key.ts";
import type { FullPlace } from "./in-flight.ts";
import { leftBytes, leftEntry, leftTicket } from "./task-left.ts";
import type { TaskStatus } from "./task-messages.ts";
import { type FreedRoom, type TakenRoom, TaskRoom } from "./task-room.ts";

/** A task that is kept. */
export interface KeptTask {
  /** As the agent knows it. */
  readonly id: string;
  /** As its server knows it. */
  readonly upstreamId: string;
  readonly serverId: string;
  /** Name at the server of the tool that made it. */
  readonly tool: string;
  /** Of the server's leg: which of the two protocols it is. */
  readonly era: Era;
  /** Only this caller, in this session, may use it. */
  readonly owner: string;
  readonly caller: string;
  /** Of the call that made it; undefined if no server has the task, since it is a phantom's. */
  readonly ticket: DecisionTicket | undefined;
  /** Number of the decision of the call's first round. */
  readonly firstSeq: number;
  readonly createdMs: number;
  /** Also for the bytes of the call, which is kept for the policy of its result. */
  readonly place: TakenRoom;
  expiresMs: number;
  status: TaskStatus;
  /** JSON text of the task as the agent saw it last. */
  last: string;
  /** Digest of the end that the agent was given; a task ends once. */
  end: string | undefined;
  /** Questions of the server that policy has let through: their digests by key. */
  readonly asked: Map<string, string>;
  /** When an invented task ends. */
  phantomMs: number | undefined;
  /** Set of a task of the run before, until its agent asks about it. */
  left: LeftTask | undefined;
  /** True if the next run goes on with it. */
  isLeftOn: boolean;
  /** Changes of rules before it was decided that the agent may be told of it unasked; undefined if that never was. */
  toldUnder: number | undefined;
  /** Under how many changes of rules it was decided how often that the agent may not be told; undefined if that never was. */
  untold: { readonly under: number; readonly times: number } | undefined;
}

/** What a table is made of. */
export interface TaskTableOptions {
  readonly pipeline: Pick<Pipeline, "dropTask" | "keepTask">;
  /** Open tasks of the run before, and the stream that their receipts are in. */
  readonly left?: { readonly tasks: readonly LeftTask[]; readonly stream: string } | undefined;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly maxTasks: number;
  readonly maxTasksPerCaller: number;
  /** Longest life of a task, whatever its server says. */
  readonly maxTaskMs: number;
  /** Under a key that outlasts the process; without it ids of an earlier one are like any others. */
  readonly tagTask?: TagTask | undefined;
  /** How much longer than its server says a task is kept, so that the server is the one who says that it is over. */
  readonly taskGraceMs: number;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 12;
const KEY_BYTES = 32;
const PREFIX = "cst_";
/** Of base64url. */
const NONCE_CHARACTERS = 16;
/** An invented task takes this long, and up to twice as long. */
const INVENTED_MS = 2_000;
const SWEEP_MS = 30_000;
const LEAST_SWEEP_MS = 20;

/** A task that is about to be kept. */
export type NewTask = Omit<
  KeptTask,
  "createdMs" | "expiresMs" | "end" | "asked" | "phantomMs" | "toldUnder" | "untold" | "left" | "isLeftOn"
> & {
  readonly ttlMs: number | null;
  readonly phantomMs?: number;
};

/** Who owns the tasks of this caller and session. A trace or an idle window binds nothing: nobody vouches for either. */
export function ownerOf({ caller, session }: { readonly caller: Caller; readonly session: SessionKey }): string {
  const key = session.trust === "inferred" ? null : [session.source, session.key];
  return JSON.stringify([caller.issuer, caller.name, key]);
}

/** The tasks of one edge. */
export class TaskTable {
  readonly #options: TaskTableOptions;
  readonly #tasks = new Map<string, KeptTask>();
  readonly #byServer = new Map<string, KeptTask>();
  /** Of calls whose outcome is being recorded. */
  readonly #claimed = new Set<string>();
  readonly #room: TaskRoom;
  readonly #tagTask: TagTask;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: TaskTableOptions) {
    this.#options = options;
    this.#tagTask = options.tagTask ?? makeKeyedNames(options.randomBytes(KEY_BYTES)).task;
    this.#room = new TaskRoom(options.maxTasks, options.maxTasksPerCaller);
    if (options.left !== undefined) this.#restore(options.left.tasks, options.left.stream);
  }

  /** A place for a task of this caller. One that has ended gives up its place to a new one. */
  enter(caller: Caller, bytes: number): TakenRoom | FullPlace {
    const bound = this.bound(caller, bytes);
    if (bound !== undefined) return bound;
    for (const task of this.#over(caller)) {
      const place = this.#openRoom.enter(caller, bytes);
      if (place.type === "taken") return place;
      void this.#drop(task);
    }
    return this.#openRoom.enter(caller, bytes);
  }

  /** The bound that keeps this caller from a task, also if all of its own that have ended gave up their places; none does here. */
  bound(caller: Caller, bytes: number): FullPlace | undefined {
    return this.#openRoom.bound(caller, bytes, sumOf(this.#over(caller)));
  }

  get #openRoom(): TaskRoom {
    return this.#isClosed ? NO_ROOM : this.#room;
  }

  /** The caller's tasks that have ended, oldest first. */
  #over(caller: Caller): readonly KeptTask[] {
    const mine = callerKey(caller);
    return [...this.#tasks.values()].filter((task) => task.caller === mine && isOver(task));
  }

  /** Those who have tasks that have not ended. */
  openOwners(): ReadonlySet<string> {
    const open = [...this.#tasks.values()].filter((task) => !isOver(task));
    return new Set(open.map(({ owner }) => owner));
  }

  /** An id for this caller. */
  newId(caller: Caller): string {
    return this.#idOf(caller, formatBase64url(this.#options.randomBytes(NONCE_BYTES)));
  }

  #idOf(caller: Caller, nonce: string): string {
    const tag = formatBase64url(parseHex(this.#tagTask(caller, nonce)).subarray(0, TAG_BYTES));
    return `${PREFIX}${nonce}${tag}`;
  }

  /** The task as an agent may see it: what its server promises beyond the gateway's own bound is not promised on. */
  promised(ttlMs: number | null): number | undefined {
    const { maxTaskMs } = this.#options;
    return ttlMs === null || ttlMs > maxTaskMs ? maxTaskMs : undefined;
  }

  nowMs(): number {
    return this.#options.nowMs();
  }

  /** When a task ends that is invented now. */
  inventedEnd(): number {
    const [by = 0] = this.#options.randomBytes(NONCE_BYTES);
    return this.nowMs() + Math.round(INVENTED_MS * (1 + by / 256));
  }

  /**
   * Claims the id that a server gave, for a task that is kept once its call is recorded.
   *
   * @returns what gives it back; undefined if the server gave it before: then it means two things by it
   */
  claim(task: Pick<KeptTask, "serverId" | "owner" | "era" | "upstreamId">): (() => void) | undefined {
    const key = keyAtServer(task);
    if (this.#byServer.has(key) || this.#claimed.has(key)) return undefined;
    this.#claimed.add(key);
    return () => void this.#claimed.delete(key);
  }

  /** Lets go of the task of a call that could not be kept: its agent is not given it. */
  lose(ticket: DecisionTicket): void {
    void this.#record(ticket);
  }

  /** Keeps a task. */
  open({ ttlMs, ...given }: NewTask): KeptTask {
    const createdMs = this.#options.nowMs();
    const phantomMs = given.phantomMs;
    const task: KeptTask = { ...given, ...FRESH, asked: new Map(), createdMs, phantomMs };
    this.renew(task, ttlMs);
    this.#put(task);
    return task;
  }

  /** Keeps a task for the next run, too; its call has to be held by the pipeline. */
  leaveOn(task: KeptTask, caller: Caller): void {
    const entry = leftEntry(task, caller);
    if (entry === undefined || task.ticket === undefined) return;
    task.isLeftOn = this.#options.pipeline.keepTask?.(task.ticket, entry) === true;
  }

  #put(task: KeptTask): void {
    this.#tasks.set(task.id, task);
    if (task.ticket !== undefined) this.#byServer.set(keyAtServer(task), task);
    if (this.#isClosed) void this.#drop(task);
    this.#plan();
  }

  /** Tasks of the run before are found as they were, as far as there is room; of the others the calls end. */
  #restore(left: readonly LeftTask[], stream: string): void {
    for (const one of left) {
      const { entry } = one;
      const ticket = leftTicket(one, stream);
      const isOver = entry.expires_ms <= this.nowMs();
      const place = isOver ? undefined : this.#openRoom.enter(entry, leftBytes(one));
      if (place?.type === "taken") this.#put(restored(one, ticket, place));
      else void this.#record(ticket);
    }
  }

  /** The server may change its mind about how long; never beyond the bound from the task's creation. */
  renew(task: KeptTask, ttlMs: number | null): void {
    const { maxTaskMs, taskGraceMs } = this.#options;
    task.expiresMs = task.createdMs + Math.min(ttlMs ?? maxTaskMs, maxTaskMs) + taskGraceMs;
  }

  /** The task of this id, if this agent made it and reaches its server here; `gone` if it was its caller's and is kept no more. */
  find(id: string, request: AgentRequest): KeptTask | "unknown" | "foreign" | "gone" {
    const task = this.#tasks.get(id);
    const isOver = task !== undefined && task.expiresMs <= this.#options.nowMs();
    if (isOver) void this.#drop(task);
    if (task === undefined || isOver) {
      const nonce = id.slice(PREFIX.length, PREFIX.length + NONCE_CHARACTERS);
      return id === this.#idOf(request.caller, nonce) ? "gone" : "unknown";
    }
    const isOwn = task.owner === ownerOf(request) && request.mount.serverIds.includes(task.serverId);
    return isOwn && task.era === request.era ? task : "foreign";
  }

  /** The task that a server means in what it says to this agent. */
  atServer(serverId: string, owner: string, era: Era, upstreamId: string): KeptTask | undefined {
    const task = this.#byServer.get(keyAtServer({ serverId, owner, era, upstreamId }));
    return task?.owner === owner ? task : undefined;
  }

  /** The agent's own tasks, oldest first. */
  own(request: AgentRequest): readonly KeptTask[] {
    const owner = ownerOf(request);
    const now = this.#options.nowMs();
    const { serverIds } = request.mount;
    return [...this.#tasks.values()].filter(
      (task) => task.owner === owner && task.expiresMs > now && serverIds.includes(task.serverId),
    );
  }

  /** The session has ended, and with it whatever it had open. */
  endSession(caller: Caller, session: SessionKey): Promise<void> {
    const owner = ownerOf({ caller, session });
    const ended = [...this.#tasks.values()].filter((task) => task.owner === owner);
    return this.#dropAll(ended);
  }

  /** Lets go of every task; none is opened any more. */
  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    return this.#dropAll([...this.#tasks.values()]);
  }

  async #dropAll(tasks: readonly KeptTask[]): Promise<void> {
    await Promise.all(tasks.map((task) => this.#drop(task)));
  }

  /** At once for agents; what it owes is recorded behind. */
  async #drop(task: KeptTask): Promise<void> {
    if (!this.#tasks.delete(task.id)) return;
    task.place.leave();
    if (task.ticket === undefined) return;
    if (this.#byServer.get(keyAtServer(task)) === task) this.#byServer.delete(keyAtServer(task));
    // The next run goes on with it.
    if (!(this.#isClosed && task.isLeftOn)) await this.#record(task.ticket);
  }

  async #record(ticket: DecisionTicket): Promise<void> {
    try {
      await this.#options.pipeline.dropTask(ticket);
    } catch (error) {
      const code = errorCode(error);
      this.#options.logger.error({ code, call: ticket.callId }, "the end of a task could not be recorded");
    }
  }

  /** Looks again when the next task is over, and from time to time. */
  #plan(): void {
    if (this.#timer !== undefined || this.#tasks.size === 0 || this.#isClosed) return;
    const now = this.#options.nowMs();
    let next = now + SWEEP_MS;
    for (const { expiresMs } of this.#tasks.values()) next = Math.min(next, expiresMs);
    this.#timer = setTimeout(() => this.#sweep(), Math.max(LEAST_SWEEP_MS, next - now));
    this.#timer.unref();
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#options.nowMs();
    for (const task of [...this.#tasks.values()]) if (task.expiresMs <= now) void this.#drop(task);
    this.#plan();
  }
}

/** Nothing of it is left to be fetched for the first time. */
function isOver({ end, status }: KeptTask): boolean {
  return end !== undefined || status === "failed" || status === "cancelled";
}

function sumOf(tasks: readonly KeptTask[]): FreedRoom {
  const bytes = tasks.reduce((sum, { place }) => sum + place.bytes, 0);
  return { places: tasks.length, bytes };
}

/** Where no task is opened any more. */
const NO_ROOM = new TaskRoom(0, 0);

const FRESH = {
  expiresMs: 0,
  end: undefined,
  toldUnder: undefined,
  untold: undefined,
  left: undefined,
  isLeftOn: false,
} as const;

function restored(left: LeftTask, ticket: DecisionTicket, place: TakenRoom): KeptTask {
  const { entry } = left;
  return {
    ...FRESH,
    id: entry.id,
    upstreamId: entry.upstream_id,
    serverId: entry.server,
    tool: entry.tool,
    era: "modern",
    owner: entry.owner,
    caller: callerKey(entry),
    ticket,
    firstSeq: entry.first_seq,
    createdMs: entry.created_ms,
    expiresMs: entry.expires_ms,
    place,
    status: "working",
    last: "{}",
    asked: new Map(),
    phantomMs: undefined,
    left,
    isLeftOn: true,
  };
}

/** A legacy session is one agent's, and so are the ids in it; a modern server has one set of ids for all. */
function keyAtServer({
  serverId,
  owner,
  era,
  upstreamId,
}: Pick<KeptTask, "serverId" | "owner" | "era" | "upstreamId">): string {
  return JSON.stringify([serverId, era === "legacy" ? owner : null, upstreamId]);
}
