/**
 * Safe state of single sessions: a session whose artifact serves nothing any more has a receipt of that, and another one when it is
 * served again. Nothing but this session is touched, and it stays open: a renewal goes on with it.
 */

import type { Digest, Hex64 } from "../../kernel/receipt/fields.ts";
import { ABSENT } from "../../kernel/receipt/observed.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { Concerns } from "../edge/rule-changes.ts";
import type { Caller, SessionKey } from "../pipeline/call.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { SessionArtifacts } from "./session-artifacts.ts";

/** What the watch works with. */
export interface SessionWatchOptions {
  readonly sessions: SessionArtifacts;
  readonly recorder: Pick<Recorder, "append">;
  readonly names: KeyedNames;
  readonly logger: Logger;
  /** Told of the calls for which something else holds now. */
  readonly onChange: (concerns: Concerns) => void;
}

interface OpenedSession {
  readonly caller: Caller;
  readonly session: SessionKey;
  /** Its key in receipts. */
  readonly key: Hex64;
  recorded: ReasonCode | undefined;
}

/** The open sessions of a run. */
export class SessionWatch {
  readonly #options: SessionWatchOptions;
  /** By the id that receipts have. */
  readonly #opened = new Map<string, OpenedSession>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: SessionWatchOptions) {
    this.#options = options;
  }

  /** A session is being opened. @returns the digest of the artifact that binds it */
  opened(id: string, caller: Caller, session: SessionKey): Digest | undefined {
    const { sessions, names } = this.#options;
    this.#opened.set(id, { caller, session, key: names.session(caller, session), recorded: undefined });
    return sessions.ofSession(caller, session)?.digest;
  }

  sealed(id: string): void {
    this.#opened.delete(id);
  }

  /** Records what has changed since the last look. */
  look(): Promise<void> {
    this.#turn = this.#turn.catch(() => undefined).then(() => this.#look());
    return this.#turn;
  }

  async #look(): Promise<void> {
    const { sessions } = this.#options;
    if (sessions.size === 0) return;
    for (const [id, opened] of [...this.#opened]) {
      const halted = sessions.ofSession(opened.caller, opened.session)?.halted;
      if (halted !== opened.recorded && this.#opened.has(id)) await this.#record(opened, halted);
    }
  }

  async #record(opened: OpenedSession, halted: ReasonCode | undefined): Promise<void> {
    const { recorder, names, logger, onChange } = this.#options;
    const reason = halted ?? opened.recorded ?? "policy.expired";
    opened.recorded = halted;
    if (halted !== undefined)
      logger.error({ reason, session: opened.key }, "safe state of a session: its calls are denied");
    onChange(({ caller, session }) => names.session(caller, session) === opened.key);
    await recorder.append(() => ({
      kind: "operator-action",
      action: halted === undefined ? "safe-state-off" : "safe-state-on",
      by: ABSENT,
      evidence: ABSENT,
      target: { type: "session", key: opened.key },
      reason,
      cause: ABSENT,
    }));
  }
}
