/**
 * Sessions of this run: finds the open one for a caller and key, opens a new one with a receipt, seals with counts. The
 * counts come from the book of the stream, which a verifier can recompute.
 */

import type { Digest, Label } from "../../kernel/receipt/fields.ts";
import type { SessionPlace } from "../../kernel/receipt/identity.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { SealReason } from "../../kernel/receipt/vocabulary.ts";
import type { CallLimits } from "../limits/call-limits.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { StreamBook } from "../receipts/stream-book.ts";
import { type BoundCall, boundSession } from "./bound-call.ts";
import type { Caller, SessionKey } from "./call.ts";
import type { KeyedNames } from "./keyed-names.ts";
import { workflowField } from "./parties.ts";
import type { Admission } from "./stage.ts";

/** Thrown where a caller has as many open sessions as one may have, and a call under way in each of them. */
export class NoRoomForSession extends Error {
  readonly refused: Extract<Admission, { type: "refused" }>;

  constructor(budget: number) {
    super("the caller has no room for another session");
    const data = { limit: "sessions-principal", budget };
    const message = "The caller has too many sessions with a call under way.";
    const denial = {
      step: "limits",
      reason: "limit.sessions",
      rpcCode: RPC_LIMITED,
      message,
      isFinal: true,
      data,
    } as const;
    this.refused = { type: "refused", denial };
  }
}

/** Silence after which a session counts as idle when room is needed. */
const SETTLED_MS = 1_000;
const RPC_LIMITED = -31_006;

/** A session of this run. */
export interface LiveSession {
  readonly place: Omit<SessionPlace, "session_seq">;
  /** Keyed id of whose session it is. */
  readonly principal: string;
  /** Number of its session-open, and the labels that it starts with. */
  readonly start: { readonly seq: number; readonly labels: readonly Label[] };
  readonly openedAtMs: number;
  lastUsedMs: number;
}

/** What the desk works with. */
export interface SessionDeskOptions {
  readonly recorder: Recorder;
  readonly book: StreamBook;
  readonly names: KeyedNames;
  readonly nowMs: () => number;
  readonly newId: () => string;
  /** Labels that a session starts with. */
  readonly startLabels: (caller: Caller, session: SessionKey) => readonly Label[];
  /** Told of every session that is opened. @returns digest of the session artifact that binds it */
  readonly onOpened: (id: string, caller: Caller, session: SessionKey) => Digest | undefined;
  /** Told of every session that was sealed. */
  readonly onSealed: (id: string) => void;
  /** Longest life of a session. */
  readonly ttlMs: number;
  /** Silence after which a session is sealed. */
  readonly idleMs: number;
  /** Of one caller, asked for when a session is opened; above it the one that is idle for longest is sealed. */
  readonly limits: (call: BoundCall) => Pick<CallLimits, "sessions">;
}

/** A session that is opened. */
interface Opening {
  readonly session: Promise<LiveSession>;
  /** Set once it is open. */
  live: LiveSession | undefined;
}

/** Opens and seals sessions. */
export class SessionDesk {
  readonly #options: SessionDeskOptions;
  readonly #sessions = new Map<string, Opening>();
  /** Keys of each caller's sessions, the one that was used last at the end; undefined while one is being opened. */
  readonly #own = new Map<string, Map<string, LiveSession | undefined>>();

  constructor(options: SessionDeskOptions) {
    this.#options = options;
  }

  /**
   * The open session of this caller and key; opens one, durably, if there is none.
   *
   * @returns a promise if one is opened, or sealed before
   * @throws {NoRoomForSession} if it is a promise
   */
  enter(caller: Caller, session: SessionKey): LiveSession | Promise<LiveSession> {
    const key = this.#options.names.session(caller, session);
    const known = this.#sessions.get(key)?.live;
    const entered = known === undefined ? undefined : this.#enterKnown(key, known);
    return entered ?? this.#enterAnew(caller, session, key);
  }

  /** Undefined if its time is over. */
  #enterKnown(key: string, known: LiveSession): LiveSession | undefined {
    const nowMs = this.#options.nowMs();
    if (this.#isOver(known, nowMs)) return undefined;
    known.lastUsedMs = nowMs;
    this.#touch(known.principal, key, known);
    return known;
  }

  async #enterAnew(caller: Caller, session: SessionKey, key: string): Promise<LiveSession> {
    const known = await this.#sessions.get(key)?.session;
    const again = known === undefined ? undefined : this.#enterKnown(key, known);
    if (again !== undefined) return again;
    // Two first calls at once share one opening.
    const current = this.#sessions.get(key);
    if (known !== undefined && (await current?.session) === known) {
      await this.#sealOne(key, known, this.#isTooOld(known, this.#options.nowMs()) ? "max-age" : "idle");
    }
    const principal = this.#options.names.principal(caller).id;
    const most = this.#options.limits(boundSession(caller, session)).sessions.principal;
    while (!this.#sessions.has(key) && this.#openOf(principal) >= most) await this.#evict(principal, most);
    const opening = this.#sessions.get(key) ?? { session: this.#open(caller, session, key), live: undefined };
    this.#sessions.set(key, opening);
    if (this.#own.get(principal)?.has(key) !== true) this.#touch(principal, key, undefined);
    try {
      const opened = await opening.session;
      opening.live = opened;
      this.#touch(principal, key, opened);
      return opened;
    } catch (error) {
      this.#sessions.delete(key);
      this.#forget(principal, key);
      throw error;
    }
  }

  #openOf(principal: string): number {
    return this.#own.get(principal)?.size ?? 0;
  }

  /**
   * Seals the caller's own session that was used longest ago and has no call under way: nobody else's. One that was entered
   * just now may be about to decide its call.
   */
  async #evict(principal: string, most: number): Promise<void> {
    const { book, nowMs } = this.#options;
    for (const [key, session] of this.#own.get(principal) ?? []) {
      if (session === undefined || nowMs() - session.lastUsedMs < SETTLED_MS) continue;
      if (book.openDecisions(session.place.id).length > 0) continue;
      this.#forget(principal, key);
      await this.#sealOne(key, session, "idle");
      return;
    }
    throw new NoRoomForSession(most);
  }

  #touch(principal: string, key: string, session: LiveSession | undefined): void {
    const known = this.#own.get(principal);
    // An only session is the last one as it is.
    if (session !== undefined && known?.size === 1 && known.get(key) === session) return;
    const own = known ?? new Map<string, LiveSession | undefined>();
    this.#own.set(principal, own);
    own.delete(key);
    own.set(key, session);
  }

  #forget(principal: string, key: string): void {
    const own = this.#own.get(principal);
    own?.delete(key);
    if (own?.size === 0) this.#own.delete(principal);
  }

  async seal(caller: Caller, session: SessionKey, reason: SealReason): Promise<void> {
    const key = this.#options.names.session(caller, session);
    const known = await this.#sessions.get(key)?.session;
    if (known !== undefined) await this.#sealOne(key, known, reason);
  }

  /** Seals every open session. @returns how many there were */
  async sealAll(reason: SealReason): Promise<number> {
    const keys = [...this.#sessions.keys()];
    let sealed = 0;
    for (const key of keys) {
      const known = await this.#sessions.get(key)?.session;
      if (known !== undefined && (await this.#sealOne(key, known, reason))) sealed += 1;
    }
    return sealed;
  }

  /** Seals the sessions of one principal. @returns how many there were */
  async sealPrincipal(principal: string, reason: SealReason): Promise<number> {
    let sealed = 0;
    for (const [key, opening] of [...this.#sessions]) {
      const known = await opening.session;
      if (known.principal === principal && (await this.#sealOne(key, known, reason))) sealed += 1;
    }
    return sealed;
  }

  /** Seals what is too old, even with calls in flight (the seal counts them), and what is idle. */
  async sealExpired(): Promise<void> {
    for (const [key, opening] of [...this.#sessions]) {
      const known = await opening.session;
      const nowMs = this.#options.nowMs();
      if (this.#isTooOld(known, nowMs)) await this.#sealOne(key, known, "max-age");
      else if (this.#isOver(known, nowMs) && this.#options.book.openDecisions(known.place.id).length === 0) {
        await this.#sealOne(key, known, "idle");
      }
    }
  }

  #isOver(session: LiveSession, nowMs: number): boolean {
    return this.#isTooOld(session, nowMs) || nowMs - session.lastUsedMs >= this.#options.idleMs;
  }

  #isTooOld({ openedAtMs }: LiveSession, nowMs: number): boolean {
    return nowMs - openedAtMs >= this.#options.ttlMs;
  }

  async #open(caller: Caller, session: SessionKey, key: string): Promise<LiveSession> {
    const { recorder, names, nowMs, newId, startLabels, onOpened } = this.#options;
    const place = { id: newId(), key, source: session.source, trust: session.trust };
    const principal = names.principal(caller);
    const labels = startLabels(caller, session);
    const { seq } = await recorder.append(() => {
      const artifact = onOpened(place.id, caller, session);
      return {
        kind: "session-open",
        session: place,
        principal: present(principal),
        workflow: workflowField(caller),
        taint: present(labels),
        ...(artifact === undefined ? {} : { session_artifact: artifact }),
      };
    });
    const start = { seq, labels };
    return { place, principal: principal.id, start, openedAtMs: nowMs(), lastUsedMs: nowMs() };
  }

  async #sealOne(key: string, session: LiveSession, reason: SealReason): Promise<boolean> {
    if ((await this.#sessions.get(key)?.session) !== session) return false;
    this.#sessions.delete(key);
    this.#forget(session.principal, key);
    const { book, recorder } = this.#options;
    const open = book.session(session.place.id);
    if (open === undefined) return false;
    await sealSession(recorder, book, session.place.id, reason);
    this.#options.onSealed(session.place.id);
    return true;
  }
}

/** Writes the seal of an open session; the counts are those of the moment in which the seal gets its number. */
export async function sealSession(recorder: Recorder, book: StreamBook, id: string, reason: SealReason): Promise<void> {
  await recorder.append(() => {
    const session = book.session(id);
    if (session === undefined) throw new Error(`the session ${id} is not open`);
    return {
      kind: "session-seal",
      session: { id },
      reason,
      calls: book.countCalls(session),
      first_seq: session.open.seq,
    };
  });
}
