/** How long a session of a legacy agent is idle, and which one gives way to another caller's. */

import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { callerKey } from "../../gateway/edge/caller-key.ts";
import { ChangeFeed } from "../../gateway/edge/change-feed.ts";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { type LegacySession, LegacySessions } from "../../gateway/edge/legacy-sessions.ts";
import { RuleChanges } from "../../gateway/edge/rule-changes.ts";
import { ownerOf, TaskTable } from "../../gateway/edge/task-table.ts";
import { localCaller } from "../support/mcp-gateway.ts";
import { makeFakePipeline } from "../support/mcp-pipeline.ts";

const IDLE_MS = 1_000;
const [ALICE, BOB] = [localCaller("alice"), localCaller("bob")];
const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SINK = { write: () => undefined, end: () => undefined };

let now = 0;
let tasks: TaskTable;
let sessions: LegacySessions;
beforeEach(() => {
  now = 10_000;
  const base = { pipeline: makeFakePipeline(), logger, nowMs: () => now, randomBytes };
  tasks = new TaskTable({ ...DEFAULT_EDGE_LIMITS, ...base });
  sessions = new LegacySessions({
    ...base,
    maxSessions: 3,
    idleMs: IDLE_MS,
    maxAgeMs: 1_000_000,
    changes: new ChangeFeed(),
    tasks,
    rules: new RuleChanges(),
    serversOf: () => [],
    onEnd: () => undefined,
  });
});

function open(caller = ALICE): LegacySession {
  now += 1;
  const capabilities = { text: "{}", value: {} };
  const session = sessions.open({ caller, mount: "/mcp", revision: "2025-11-25", capabilities });
  if (typeof session === "string") throw new Error(session);
  return session;
}

const isOpen = ({ id, caller }: LegacySession): boolean => sessions.find(id, caller, "/mcp").type === "session";

/** The session has a task of its agent's that works on. */
function openTask({ caller, key }: LegacySession): { status: string } {
  const place = tasks.enter(caller, 0);
  if (place.type !== "taken") throw new Error("no place");
  const who = { owner: ownerOf({ caller, session: key }), caller: callerKey(caller), id: tasks.newId(caller) };
  const at = { upstreamId: "theirs", serverId: "s", tool: "t", era: "legacy", firstSeq: 0, ticket: undefined } as const;
  return tasks.open({ ...who, ...at, place, status: "working", last: "{}", ttlMs: null });
}

describe("a session", () => {
  it("is idle from the end of its last request", () => {
    const session = open();
    const { done } = session.calls.start(1);
    now += 5 * IDLE_MS;
    done();
    now += IDLE_MS - 1;
    expect(isOpen(session)).toBe(true);
    now += IDLE_MS;
    expect(isOpen(session)).toBe(false);
  });

  it.each([
    ["its own stream", ({ streams }: LegacySession) => streams.standing],
    ["a request's stream that is taken up again", ({ streams }: LegacySession) => streams.open()],
  ])("is in use while its agent listens to %s, and idle from then on", (_, streamOf) => {
    const session = open();
    const stream = streamOf(session);
    stream.attach(SINK, 0);
    now += 5 * IDLE_MS;
    // What took its place long ago is no use of it.
    stream.detach({ ...SINK });
    expect(session.streams.isAttached).toBe(true);
    stream.detach(SINK);
    now += IDLE_MS - 1;
    expect(isOpen(session)).toBe(true);
    now += IDLE_MS;
    expect(isOpen(session)).toBe(false);
  });
});

describe("a session of the caller that has the most", () => {
  it("gives way to another caller's if it is idle for longest, counted from its last use's end", () => {
    const [early, late] = [open(), open(), open()];
    const { done } = early.calls.start(1);
    now += 10;
    done();
    open(BOB);
    expect([isOpen(early), isOpen(late)]).toEqual([true, false]);
  });

  it.each([
    ["a request under way", (session: LegacySession) => void session.calls.start(1)],
    ["its own stream open", (session: LegacySession) => session.streams.standing.attach(SINK, undefined)],
    ["a stream of a request open", (session: LegacySession) => session.streams.open().attach(SINK, undefined)],
    ["a task open", (session: LegacySession) => void openTask(session)],
  ])("does not with %s", (_, use) => {
    const [first, second, third] = [open(), open(), open()];
    use(first);
    use(third);
    open(BOB);
    expect([isOpen(first), isOpen(second), isOpen(third)]).toEqual([true, false, true]);
    const capabilities = { text: "{}", value: {} };
    const other = { caller: localCaller("carol"), mount: "/mcp", revision: "2025-11-25", capabilities } as const;
    expect(sessions.open(other)).toBe("full");
  });

  it("gives way with a task that has ended", () => {
    const [first] = [open(), open(), open()];
    openTask(first).status = "failed";
    open(BOB);
    expect(isOpen(first)).toBe(false);
  });
});
