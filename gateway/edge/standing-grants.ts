/**
 * What a stream of one who listens was granted, each grant with the decision that it stands under. When rules change, a grant gets
 * another decision and the one before its outcome; a stream of which one is refused then ends. What comes meanwhile waits.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { CallOutcome, Decided, InboundCall } from "../pipeline/call.ts";
import type { ChangedList, UpstreamReply } from "../upstream/upstream.ts";
import { decide, type Forwarded, finish, type ReceiptDeps } from "./call-receipts.ts";
import type { NoticePacer } from "./notice-pacer.ts";
import type { Concerns } from "./rule-changes.ts";
import type { KeptTask } from "./task-table.ts";

/** Something that the agent is told of, with its receipt; `uri` as the agent wrote it, a task by the agent's id of it. */
export interface Granted {
  readonly decided: Exclude<Decided, { action: "refuse" }>;
  readonly call: InboundCall;
  readonly lists: readonly ChangedList[];
  readonly uri?: string;
  readonly task?: KeptTask;
  readonly reply?: UpstreamReply;
}

/** A task whose status the agent is told. */
export type GrantedTask = Pick<Granted, "call"> & { readonly task: KeptTask; readonly decided: Forwarded };

/**
 * What a server says to a grant that was decided. A fault of ours on the way there leaves the grant untaken: its outcome is that
 * of the stream's end, as every other's.
 */
export async function answerToGrant(
  { logger }: ReceiptDeps,
  { serverId: server }: InboundCall,
  ask: () => Promise<UpstreamReply>,
): Promise<UpstreamReply> {
  try {
    return await ask();
  } catch (error) {
    logger.error({ code: errorCode(error), server }, "a server could not be asked for a subscription");
    return { type: "failed", status: "upstream_error", effect: "unknown", reason: "server.unavailable" };
  }
}

/** The grants of one stream. */
export class StandingGrants {
  readonly #deps: ReceiptDeps;
  #granted: readonly Granted[] = [];

  constructor(deps: ReceiptDeps) {
    this.#deps = deps;
  }

  add(granted: readonly Granted[]): void {
    this.#granted = [...this.#granted, ...granted];
  }

  /** True if no server took anything. */
  get isEmpty(): boolean {
    return !this.#granted.some(isTaken);
  }

  /** What the agent is told that it will be told of. */
  acknowledged(): Readonly<Record<string, true | string[]>> {
    const taken = this.#granted.filter(isTaken);
    const uris = taken.flatMap(({ uri }) => uri ?? []);
    const taskIds = taken.flatMap(({ task }) => task?.id ?? []);
    const lists = new Set(taken.flatMap((one) => one.lists));
    return {
      ...Object.fromEntries([...lists].map((list) => [`${list}ListChanged`, true] as const)),
      ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }),
      ...(taskIds.length === 0 ? {} : { taskIds }),
    };
  }

  /** True if changes of this list of the server are told; of a phantom nothing is. */
  lists(serverId: string, list: ChangedList): boolean {
    return this.#granted.some(
      ({ decided, call, lists }) => decided.action === "forward" && call.serverId === serverId && lists.includes(list),
    );
  }

  /** True unless the key is a resource whose grant is a phantom by now. */
  permits(key: string): boolean {
    const own = this.#granted.find(({ uri }) => uri === key);
    return own === undefined || own.decided.action === "forward";
  }

  /** The grant of a task with this id and the decision that lets its status through; undefined if none does now. */
  taskGrant(taskId: string): GrantedTask | undefined {
    for (const { task, decided, call } of this.#granted) {
      if (task?.id === taskId && decided.action === "forward") return { task, decided, call };
    }
    return undefined;
  }

  /** Decides the grants anew that a change of rules is about. */
  async renew(concerns: Concerns): Promise<"stands" | "over" | "withheld"> {
    for (const granted of this.#granted.filter(({ call }) => concerns(call))) {
      // Nothing is sent for it: the subscription at the server stands.
      const decided = await decide(this.#deps, { ...granted.call, isAnsweredHere: true, isUnasked: true });
      if (decided === undefined) return "withheld";
      if (decided.action === "refuse") return "over";
      const kept = await finish(this.#deps, granted.decided, outcomeOf(granted, undefined));
      this.#replace(granted, { ...granted, decided });
      if (kept === undefined) return "withheld";
      // What was a phantom was never asked for at the server.
      if (granted.decided.action === "phantom" && decided.action === "forward") return "over";
    }
    return "stands";
  }

  #replace(before: Granted, after: Granted): void {
    this.#granted = this.#granted.map((one) => (one === before ? after : one));
  }

  /** Ends all. @param returned  what the agent gets at last @returns false if an outcome could not be kept */
  async endAll(returned: Uint8Array | undefined): Promise<boolean> {
    const ended = this.#granted.map((one) => finish(this.#deps, one.decided, outcomeOf(one, returned)));
    return (await Promise.all(ended)).every((outcome) => outcome !== undefined);
  }
}

/** Renews the grants of a stream, one change after another; changes that come during one are taken together. */
export class Renewal {
  readonly #standing: StandingGrants;
  readonly #updated: NoticePacer;
  readonly #logger: Logger;
  readonly #over = new AbortController();
  #asked: Concerns[] = [];
  #running: Promise<void> | undefined;
  #end: "ended" | "withheld" = "ended";

  constructor(standing: StandingGrants, updated: NoticePacer, logger: Logger) {
    this.#standing = standing;
    this.#updated = updated;
    this.#logger = logger;
  }

  /** Aborted when the stream may not go on. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** From now on nothing is told until it is decided. */
  ask(concerns: Concerns): void {
    this.#updated.hold();
    this.#asked.push(concerns);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is decided any more, with how the stream ended. */
  async settle(): Promise<"ended" | "withheld"> {
    this.#over.abort();
    await this.#running;
    return this.#end;
  }

  /** Never rejects: a stream that a fault of ours keeps from being decided ends without what it is owed. */
  async #run(): Promise<void> {
    try {
      await this.#decided();
    } catch (error) {
      this.#logger.error({ code: errorCode(error) }, "a stream could not be decided again");
      this.#end = "withheld";
      this.#over.abort();
    }
  }

  async #decided(): Promise<void> {
    // Behind whatever tells of the change: all of it is to hold.
    await Promise.resolve();
    while (this.#asked.length > 0 && !this.#over.signal.aborted) {
      const asked = this.#asked.splice(0);
      const found = await this.#standing.renew((call) => asked.some((concerns) => concerns(call)));
      if (found === "withheld") this.#end = "withheld";
      if (found !== "stands") this.#over.abort();
    }
    this.#running = undefined;
    // In the same turn: who asks behind it holds what is told, and nobody lets go of it before that is decided.
    if (!this.#over.signal.aborted) this.#updated.start();
  }
}

/** True if the server took the subscription; a phantom is taken as any other would be. */
function isTaken({ decided, reply, uri, task }: Granted): boolean {
  if (decided.action === "phantom" || (uri === undefined && task === undefined)) return true;
  return reply?.type === "answered" && reply.body["error"] === undefined;
}

/** Closing the stream is how an agent ends it, and no fault. */
function outcomeOf(granted: Granted, bytes: Uint8Array | undefined): CallOutcome {
  const { decided, reply } = granted;
  const received = reply?.bytes === undefined ? {} : { received: reply.bytes };
  const returned = bytes === undefined ? {} : { returned: bytes };
  const common = { upstreamUs: 0, uninspectedBytes: 0, ...received, ...returned };
  if (decided.action === "phantom") return { status: "phantom", effect: "none", ...common };
  if (isTaken(granted)) return { status: "ok", effect: "done", ...common };
  if (reply?.type === "failed") return { status: reply.status, effect: reply.effect, ...common };
  return { status: "upstream_error", effect: "unknown", ...common };
}
