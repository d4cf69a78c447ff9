/**
 * Quarantine of a subject: a principal or a session whose calls are decided as before, and answered plausibly with nothing
 * forwarded (mcp-gateway §19.4). An operator or a session's behaviour puts a subject there; only an operator lets it out.
 */

import { CheckError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { PolicyArtifact } from "../../kernel/policy-artifact.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { jsonObject, literal, object, optional, readShape, record, type Shape } from "../../kernel/shape.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { ControlEntry, ControlList } from "../controls/control-list.ts";
import { actionTargetOf, type ControlTarget, subjectsOf } from "../controls/control-target.ts";
import type { ActionBook, Operator, OperatorReason } from "../controls/operator.ts";
import type { World } from "../options.ts";
import type { InboundCall } from "../pipeline/call.ts";
import { type Denial, refusalFor } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { CallTurn, ObligationStage, ResponseStage, Settlement } from "../pipeline/stage.ts";
import { AnswerTimes } from "./answer-times.ts";
import { type Baseline, Behaviour, baselineShape } from "./behaviour.ts";
import { type FixedAnswers, phantomResult } from "./phantom-answer.ts";

/** The member `quarantine` of the configuration; without it there is no phantom execution. */
export type QuarantineConfig = {
  /** Fixed results of tools, by `<server>/<tool>`. */
  readonly answers?: FixedAnswers;
  /** A session that leaves it is quarantined. */
  readonly baseline?: Baseline;
  /** What is quarantined then: default `principal`, since an agent can begin another session at its wish. */
  readonly subject?: "principal" | "session";
};

/** Shape of the member. */
export const quarantineShape: Shape<QuarantineConfig> = object<QuarantineConfig>({
  answers: optional(record(jsonObject(), { max: 2_000 })),
  baseline: optional(baselineShape),
  subject: optional(literal("principal", "session")),
});

/** The member `quarantine` of a configuration's JSON, read alone: nothing else of it is judged. @throws {FormatError} ERR_SHAPE */
export function readQuarantine(config: JsonValue): QuarantineConfig | undefined {
  const quarantine = isJsonObject(config) ? config["quarantine"] : undefined;
  return quarantine === undefined ? undefined : readShape(quarantineShape, quarantine, "config.quarantine");
}

/** What a quarantine works with. */
export interface QuarantineOptions {
  readonly config: QuarantineConfig | undefined;
  readonly list: ControlList;
  readonly actions: ActionBook;
  readonly names: KeyedNames;
  /** Of the sealed artifact in force; undefined if there is none. */
  readonly sealed: () => Pick<PolicyArtifact, "baseline" | "phantom"> | undefined;
  readonly world: Pick<World, "nowMs" | "sleep" | "random">;
  /** Told of each target as soon as it is in quarantine. */
  readonly onTarget: (target: ControlTarget) => void;
  /** Told what went wrong with a move that the gateway made of itself. */
  readonly onFault: (error: unknown) => void;
}

/** The quarantine of a run. */
export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #times = new AnswerTimes();
  readonly #behaviour: Behaviour;
  /** Moves of the gateway's own that are not durable yet. */
  #entering: Promise<unknown> = Promise.resolve();
  /** Turns what would be forwarded into a phantom: behind all others that look at the ruling but the limits. */
  readonly obligation: ObligationStage = {
    name: "quarantine",
    settle: (turn, _answer, left) => this.#settle(turn, left),
  };

  constructor(options: QuarantineOptions) {
    this.#options = options;
    this.#behaviour = new Behaviour(options.config?.baseline ?? {}, () => options.sealed()?.baseline);
  }

  /** Learns how long real answers take. */
  get response(): ResponseStage {
    return this.#times.response;
  }

  entries(): readonly ControlEntry[] {
    return this.#options.list.entries();
  }

  /**
   * @throws {CheckError} ERR_QUARANTINE: not configured, or a target that is neither principal nor session
   * @throws {StoreError} ERR_CONTROL_FILE, ERR_STREAM_FAILED: it holds in this process all the same
   */
  async on(target: ControlTarget, operator: Operator, reason: OperatorReason): Promise<ControlEntry> {
    const { list, config } = this.#options;
    if (config === undefined) throw new CheckError("ERR_QUARANTINE", "the configuration allows no phantom execution");
    if (!/^(?:principal|session):/u.test(target)) {
      throw new CheckError("ERR_QUARANTINE", "want a principal or a session; a kill switch stops servers and tools");
    }
    return list.find([target]) ?? this.#enter(target, { operator, reason });
  }

  /** @throws {CheckError} ERR_NOT_FOUND @throws {StoreError} ERR_CONTROL_FILE, ERR_STREAM_FAILED: it is still on */
  async off(target: ControlTarget, operator: Operator, reason: OperatorReason): Promise<void> {
    const { list, actions } = this.#options;
    if (list.find([target]) === undefined) throw new CheckError("ERR_NOT_FOUND", "this target is not in quarantine");
    const about = (secret: Uint8Array): ReturnType<typeof actionTargetOf> => actionTargetOf(target, secret);
    await actions.write({ action: "quarantine-off", operator, reason, target: about });
    await list.remove(target);
  }

  forget(sessionId: string): void {
    this.#behaviour.forget(sessionId);
  }

  #settle(turn: CallTurn, settlement: Settlement): Settlement {
    const { call, session } = turn;
    const isForwarded = settlement.judged.ruling.action === "forward";
    if (QUESTIONS.has(call.target.kind)) return settlement;
    const hasDrifted = this.#watches && this.#behaviour.count(session.place.id, call, !isForwarded);
    const known = this.#find(call);
    if (hasDrifted && known === undefined) this.#enterByDrift(call, turn.seq);
    if (!isForwarded || (!hasDrifted && known === undefined)) return settlement;
    if (this.#mayInvent) return this.#phantom(turn, settlement);
    return {
      ...refused(settlement, hasDrifted),
      durable: Promise.all([settlement.durable, this.#entering]).then(() => undefined),
    };
  }

  /** Sessions are counted where something bounds them. */
  get #watches(): boolean {
    return this.#options.config?.baseline !== undefined || this.#options.sealed()?.baseline !== undefined;
  }

  /** A sealed artifact has the last word on phantoms: without its leave a subject in quarantine is denied. */
  get #mayInvent(): boolean {
    return this.#options.sealed()?.phantom !== false;
  }

  #find(call: InboundCall): ControlEntry | undefined {
    const { list, names, config } = this.#options;
    // What an operator quarantined stays so, also when the configuration does not allow it any more.
    return config === undefined && list.isEmpty ? undefined : list.find(subjectsOf(call, names));
  }

  /** It holds at once; file and receipt follow, and invented answers wait for them. */
  #enterByDrift(call: InboundCall, cause: number): void {
    const { names, config, onFault } = this.#options;
    const [principal = "", session = ""] = subjectsOf(call, names);
    const target = config?.subject === "session" ? session : principal;
    const entered = this.#enter(target, { operator: undefined, reason: "subject.drift", cause }).catch(onFault);
    this.#entering = Promise.all([this.#entering, entered]);
  }

  async #enter(
    target: ControlTarget,
    why: { readonly operator: Operator | undefined; readonly reason: ControlEntry["reason"]; readonly cause?: number },
  ): Promise<ControlEntry> {
    const { list, actions, world, onTarget } = this.#options;
    const since = formatTimestamp(world.nowMs());
    const entry = { target, since, reason: why.reason, by: actions.idOf(why.operator) };
    const added = list.add(entry);
    onTarget(target);
    await added;
    await actions.write({ action: "quarantine-on", ...why, target: (secret) => actionTargetOf(target, secret) });
    return entry;
  }

  #phantom({ call, finding }: CallTurn, settlement: Settlement): Settlement {
    const { world, config } = this.#options;
    const ms = this.#times.like(call, world.random());
    const { judged } = settlement;
    const reasons = ["subject.quarantined", ...judged.ruling.reasons.slice(0, MAX_REASONS)] as const;
    const ruling = { ...judged.ruling, action: "phantom", judgement: "deny", step: "quarantine", reasons } as const;
    return {
      ...settlement,
      judged: { ruling, refusal: undefined },
      labels: [],
      phantom: {
        result: phantomResult(call, finding.definition, config?.answers ?? {}),
        wait: async () => {
          await Promise.all([world.sleep(ms, NEVER), this.#entering]);
        },
      },
    };
  }
}

/** No mode forwards the calls of a subject that has left its bounds. */
function refused(settlement: Settlement, hasDrifted: boolean): Settlement {
  const { judged } = settlement;
  const reason: ReasonCode = hasDrifted ? "subject.drift" : "subject.quarantined";
  const reasons = [reason, ...judged.ruling.reasons.slice(0, MAX_REASONS)];
  const ruling = { ...judged.ruling, action: "refuse", judgement: "deny", step: "quarantine", reasons } as const;
  const message = "The calls of this subject are stopped; an operator has to look.";
  const denial: Denial = { step: "quarantine", reason, rpcCode: RPC_DENIED, message, isFinal: true };
  return { ...settlement, judged: { ruling, refusal: refusalFor(denial, ruling.policies ?? []) }, labels: [] };
}

/** What a server asks of an agent is part of a call that was let through before. */
const QUESTIONS: ReadonlySet<InboundCall["target"]["kind"]> = new Set(["sample", "elicit", "roots"]);
const RPC_DENIED = -31_001;
const MAX_REASONS = 31;
const NEVER = new AbortController().signal;
