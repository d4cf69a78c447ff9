/**
 * The kill switch: calls of a principal, a tool, a server, a session, or all calls are refused from the next one on, in
 * every mode, until an operator switches it off. It survives a restart.
 */

import { CheckError } from "../../kernel/errors.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { InboundCall } from "../pipeline/call.ts";
import type { Denial } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { Gate } from "../pipeline/stage.ts";
import type { ControlEntry, ControlList } from "./control-list.ts";
import { actionTargetOf, type ControlTarget, targetsOf } from "./control-target.ts";
import type { ActionBook, Operator, OperatorReason } from "./operator.ts";

/** What a kill switch works with. */
export interface KillSwitchOptions {
  readonly list: ControlList;
  readonly actions: ActionBook;
  readonly names: KeyedNames;
  readonly nowMs: () => number;
  /** Told of each target as soon as it is stopped. */
  readonly onTarget: (target: ControlTarget) => void;
}

const STOPPED: Denial = {
  step: "quarantine",
  reason: "kill-switch.active",
  rpcCode: -31_003,
  message: "An operator has stopped these calls.",
  isFinal: true,
};

/** The switch of a run. */
export class KillSwitch {
  readonly #options: KillSwitchOptions;
  readonly gate: Gate = {
    name: "kill-switch",
    admit: (call) => (this.#isStopped(call) ? { type: "refused", denial: STOPPED } : { type: "admitted" }),
    // A call may wait for its server's lists, for keys or for its session behind the gate: no receipt behind that of a stop lets it out.
    again: (call) => (this.#isStopped(call) ? STOPPED : undefined),
  };

  constructor(options: KillSwitchOptions) {
    this.#options = options;
  }

  entries(): readonly ControlEntry[] {
    return this.#options.list.entries();
  }

  /**
   * Refuses from now on; the promise resolves when that is durable and has a receipt.
   *
   * @throws {StoreError} ERR_CONTROL_FILE, ERR_STREAM_FAILED: it holds in this process all the same
   */
  async on(target: ControlTarget, operator: Operator, reason: OperatorReason): Promise<ControlEntry> {
    const { list, actions, nowMs, onTarget } = this.#options;
    const known = list.find([target]);
    if (known !== undefined) return known;
    const entry = { target, since: formatTimestamp(nowMs()), reason, by: actions.idOf(operator) };
    const added = list.add(entry);
    onTarget(target);
    await added;
    await actions.write({
      action: "kill-switch-on",
      operator,
      reason,
      target: (secret) => actionTargetOf(target, secret),
    });
    return entry;
  }

  /**
   * Lets calls pass again: receipt, file, then effect.
   *
   * @throws {CheckError} ERR_NOT_FOUND if it was not on
   * @throws {StoreError} ERR_CONTROL_FILE, ERR_STREAM_FAILED: it is still on
   */
  async off(target: ControlTarget, operator: Operator, reason: OperatorReason): Promise<void> {
    const { list, actions } = this.#options;
    if (list.find([target]) === undefined) throw new CheckError("ERR_NOT_FOUND", "this target is not switched off");
    await actions.write({
      action: "kill-switch-off",
      operator,
      reason,
      target: (secret) => actionTargetOf(target, secret),
    });
    await list.remove(target);
  }

  #isStopped(call: InboundCall): boolean {
    const { list, names } = this.#options;
    return !list.isEmpty && list.find(targetsOf(call, names)) !== undefined;
  }
}
