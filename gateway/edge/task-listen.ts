/**
 * Tasks on a stream of one who listens: what a server says of one unasked is read, decided and written as its answer to
 * `tasks/get` would be, and a result in it is the end of the call that made the task. Of what comes faster than it is told the
 * newest counts, since each notice says all.
 */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { TASK_NOTICE } from "../upstream/notices.ts";
import { taskListenMessage } from "../upstream/own-request.ts";
import type { ServerTaskStatus, Upstream } from "../upstream/upstream.ts";
import { messageToAgent } from "../wire/bridge.ts";
import { META } from "../wire/meta-keys.ts";
import { applyEdits, editMembers, rawAt, spanOf } from "../wire/spans.ts";
import { type AgentRequest, wireFacts } from "./agent-request.ts";
import { decide } from "./call-receipts.ts";
import { scopeRefusal } from "./forward.ts";
import { keepRefusal, refuseRequest } from "./refuse.ts";
import type { ForwardDeps } from "./round-trip.ts";
import { answerToGrant, type Granted, type GrantedTask, type StandingGrants } from "./standing-grants.ts";
import { readState, type TaskAnswerDeps } from "./task-answers.ts";
import { type TaskRound, unknownTask } from "./task-calls.ts";
import { wakeTask } from "./task-left.ts";
import type { KeptTask } from "./task-table.ts";

/** What listening to tasks needs. */
export interface TaskListenDeps extends TaskAnswerDeps, Pick<ForwardDeps, "upstreams" | "scopes" | "software"> {}

/**
 * Asks the server of a task for its status, if the task is this agent's and policy permits it.
 *
 * @param taskId  as the agent knows it
 * @param signal  aborted when the agent listens no more
 */
export async function grantTask(
  deps: TaskListenDeps,
  request: AgentRequest,
  taskId: string,
  signal: AbortSignal,
  onStatus: (status: ServerTaskStatus) => void,
): Promise<Granted | "denied" | "withheld"> {
  const task = deps.tasks.find(taskId, request);
  const upstream = typeof task === "string" ? undefined : deps.upstreams.get(task.serverId);
  const scoped = typeof task === "string" ? undefined : { route: { serverId: task.serverId, name: task.tool } };
  const refused = typeof task === "string" ? unknownTask(task) : scoped && scopeRefusal(deps, request, scoped);
  if (typeof task === "string" || refused !== undefined || upstream?.watchTask === undefined) {
    if (refused !== undefined) await refuseRequest(deps, refused, request);
    return "denied";
  }
  const watched = taskListenMessage(upstream.nextId(), task.upstreamId, deps.software);
  const call = listenCall(request, task, upstream, watched.bytes);
  const decided = await decide(deps, call);
  if (decided === undefined) return "withheld";
  if (decided.action === "refuse") return "denied";
  const granted = { decided, call, lists: [], task };
  if (decided.action === "phantom") return granted;
  const { watchTask } = upstream;
  const toSend = { ...watched, bytes: decided.toSend, signal };
  const reply = await answerToGrant(deps, call, async () => {
    wakeTask(deps.pipeline, task, request, call.upstream, decided.ticket);
    return watchTask(toSend, task.upstreamId, onStatus);
  });
  return { ...granted, reply };
}

function listenCall(request: AgentRequest, task: KeptTask, upstream: Upstream, toSend: Uint8Array): InboundCall {
  const { caller, session, message, received } = request;
  return {
    wire: { ...wireFacts(request), name: task.id },
    caller,
    session,
    serverId: task.serverId,
    mount: request.mount.path,
    target: { kind: "task", name: task.upstreamId },
    taskTool: task.tool,
    round: { index: 1, firstSeq: task.firstSeq },
    params: message.params,
    received,
    toSend,
    upstream: upstream.facts(),
  };
}

/** When the agent may be told. */
export interface TaskPace {
  /** True while rules that have changed are decided on: nothing is told then. */
  readonly isHeld: () => boolean;
  /** Tells this one when that is over. */
  readonly again: (taskId: string) => void;
}

/** What servers say of the tasks of one stream. */
export class TaskStatuses {
  readonly #deps: TaskListenDeps;
  readonly #request: AgentRequest;
  readonly #standing: StandingGrants;
  readonly #pace: TaskPace;
  /** By the agent's id of the task: what its server said last, until the agent is told. */
  readonly #latest = new Map<string, ServerTaskStatus>();
  /** One after the other: the end of a task is behind whatever came before it. */
  #telling: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(deps: TaskListenDeps, request: AgentRequest, standing: StandingGrants, pace: TaskPace) {
    this.#deps = deps;
    this.#request = request;
    this.#standing = standing;
    this.#pace = pace;
  }

  /** Remembers what a server says, for `tell`. */
  put(taskId: string, status: ServerTaskStatus): void {
    this.#latest.set(taskId, status);
  }

  /** Tells the agent what is remembered of this task, if it may know. */
  tell(taskId: string): void {
    this.#telling = this.#telling
      .then(() => this.#tellNow(taskId))
      .catch((error: unknown) => {
        this.#deps.logger.error({ code: errorCode(error) }, "what a server said of a task could not be passed on");
      });
  }

  /** Resolves when nothing is told any more. */
  settled(): Promise<void> {
    this.#isOver = true;
    return this.#telling;
  }

  async #tellNow(taskId: string): Promise<void> {
    const status = this.#latest.get(taskId);
    const grant = this.#standing.taskGrant(taskId);
    if (status === undefined || grant === undefined || this.#isOver) return;
    // Another was told before it, and rules have changed meanwhile.
    if (this.#pace.isHeld()) return this.#pace.again(taskId);
    this.#latest.delete(taskId);
    const text = `{"jsonrpc":"2.0","id":0,"result":${status.text}}`;
    const body = { jsonrpc: "2.0", id: 0, result: status.value };
    const reply = { type: "answered", bytes: status.bytes, text, body, result: status.value } as const;
    const ended = await readState(this.#deps, roundOf(this.#request, grant), reply, 0);
    if (ended === "withheld") return;
    // Rules may have changed meanwhile: what it was read under has its outcome then, and nothing passes by it any more.
    const standing = this.#standing.taskGrant(taskId);
    if (standing === undefined) return;
    const stated = rawAt(parseUtf8(ended.bytes), ["result"]);
    if (stated !== undefined) this.#pass(standing, stated, status);
    // A question that may not be asked has its own receipt.
    else if (ended.outcome.status !== "blocked") this.#refuse(standing, "upstream.protocol", status);
  }

  /** The last look is at all of it, as it goes out. */
  #pass(grant: GrantedTask, stated: string, status: ServerTaskStatus): void {
    const { pipeline } = this.#deps;
    const { notify, idText, transport } = this.#request;
    const notice = messageToAgent(noticeOf(stated, idText), transport === "stdio");
    const verdict = pipeline.watchStream(grant.decided.ticket)?.look(notice) ?? { type: "pass" };
    if (verdict.type === "cut") this.#refuse(grant, verdict.refusal.reason, status);
    else if (verdict.type === "pass" && !this.#isOver) notify?.(notice);
  }

  /** What may not reach the agent has a receipt; the agent is told nothing. */
  #refuse({ task }: GrantedTask, reason: ReasonCode, { bytes: received }: ServerTaskStatus): void {
    const { caller, session, transport, era, revision } = this.#request;
    const step = reason === "upstream.protocol" ? "classify" : "inspect";
    const wire = { transport, era, revision, method: TASK_NOTICE } as const;
    void keepRefusal(this.#deps, { step, reason, wire, caller, session, serverId: task.serverId, received });
  }
}

/** A notice is read like the answer to a request about the task, under the decision that stands. */
function roundOf(request: AgentRequest, { task, call, decided }: GrantedTask): TaskRound {
  return { request, call, decided, task };
}

/** SPEC ext-tasks: a notice has the whole task; it names the agent's subscription, and no other. */
function noticeOf(stated: string, idText: string): string {
  const text = `{"jsonrpc":"2.0","method":"${TASK_NOTICE}","params":${stated}}`;
  const span = spanOf(text, ["params"]);
  const tag = { _meta: `{"${META.subscriptionId}":${idText}}` };
  const edit = span === undefined ? undefined : editMembers(text, span, tag, (key) => key === "resultType");
  return edit === undefined ? text : applyEdits(text, [edit]);
}
