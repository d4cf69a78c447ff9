/** Open tasks on disk: what one run keeps is what the next finds, and nothing else is. */

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_EDGE_LIMITS } from "../../gateway/edge/edge-options.ts";
import { modernSessionKey } from "../../gateway/edge/session-key.ts";
import { ownerOf, TaskTable } from "../../gateway/edge/task-table.ts";
import { callerOfClaims } from "../../gateway/identity/token-caller.ts";
import { type LeftEntry, type LeftTask, LeftTasks, openSealed, sealTask } from "../../gateway/receipts/left-tasks.ts";
import { eraseSecrets, openVault } from "../../gateway/receipts/vault.ts";
import { HOST_SESSION_KEYS } from "../../gateway/wire/meta-keys.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { localCaller } from "../support/mcp-gateway.ts";

const CALL = "ab".repeat(16);
const SECRET = new Uint8Array(32).fill(5);
const NONCE = new Uint8Array(12).fill(6);
const TASK: LeftTask = {
  v: 1,
  call: CALL,
  entry: {
    id: "cst_1",
    upstream_id: "theirs",
    server: "s",
    tool: "t",
    owner: "[]",
    issuer: "local",
    name: "alice",
    decision_seq: 7,
    first_seq: 7,
    created_ms: 1,
    expires_ms: 2,
  },
  received: formatBase64(new Uint8Array([1, 2])),
  sent: formatBase64(new Uint8Array([3])),
  labels: ["paid"],
};

describe("a file of an open task", () => {
  it("is read as it was written, and by nobody who has another secret or calls it by another name", () => {
    const file = sealTask(TASK, SECRET, NONCE);
    expect(openSealed(file, CALL, SECRET)).toEqual(TASK);
    expect(Buffer.from(file).includes(Buffer.from("theirs"))).toBe(false);
    expect(openSealed(file, "cd".repeat(16), SECRET)).toBeUndefined();
    expect(openSealed(file, CALL, new Uint8Array(32))).toBeUndefined();
  });

  it("is refused with any one byte changed, and cut anywhere", () => {
    const file = sealTask(TASK, SECRET, NONCE);
    for (let at = 0; at < file.length; at += 1) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(openSealed(changed, CALL, SECRET)).toBeUndefined();
      expect(openSealed(file.subarray(0, at), CALL, SECRET)).toBeUndefined();
    }
  });

  it.each([
    ["another version", { ...TASK, v: 2 }],
    ["a member more", { ...TASK, more: 1 }],
    ["no call", { ...TASK, call: "x" }],
    ["a time before time", { ...TASK, entry: { ...TASK.entry, expires_ms: -1 } }],
    ["bytes that are none", { ...TASK, sent: "?" }],
  ])("is refused if it holds %s", (_name, other) => {
    const sealed = sealTask(JSON.parse(Buffer.from(canonicalBytes(other)).toString("utf8")), SECRET, NONCE);
    expect(openSealed(sealed, CALL, SECRET)).toBeUndefined();
  });
});

describe("what is kept of a task", () => {
  it("is what is read again, also of a server that says parts of a millisecond", async () => {
    const entries: LeftEntry[] = [];
    const keepTask = (_ticket: unknown, entry: LeftEntry): boolean => entries.push(entry) > 0;
    const pipeline = { keepTask, dropTask: () => Promise.resolve() };
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const table = new TaskTable({ ...DEFAULT_EDGE_LIMITS, pipeline, logger, nowMs: () => 1_000, randomBytes });
    const caller = localCaller("alice");
    const place = table.enter(caller, 0);
    if (place.type !== "taken") throw new Error("no place");
    const names = { upstreamId: "theirs", serverId: "s", tool: "t", era: "modern", owner: "[]", caller: "a" } as const;
    const ticket = { callId: CALL, receipt: { stream: "ab".repeat(32), seq: 7 } };
    const state = { status: "working", last: "{}", ttlMs: 1_000.5 } as const;
    const task = table.open({ ...names, ...state, id: table.newId(caller), ticket, firstSeq: 7, place });
    table.leaveOn(task, caller);
    const [entry = TASK.entry] = entries;
    expect(entry.expires_ms).toBeGreaterThanOrEqual(task.expiresMs);
    const kept = { ...TASK, entry };
    expect(openSealed(sealTask(kept, SECRET, NONCE), CALL, SECRET)).toEqual(kept);
    await table.close();
  });
});

describe("tasks of the run before", () => {
  const [receivedBytes, sentBytes] = [2_000_000, 1_900_000];
  const left = (n: number): LeftTask => ({
    ...TASK,
    call: n.toString(16).padStart(32, "0"),
    entry: { ...TASK.entry, id: `cst_${n}`, upstream_id: `theirs-${n}`, expires_ms: 2_000 },
    received: formatBase64(new Uint8Array(receivedBytes)),
    sent: formatBase64(new Uint8Array(sentBytes)),
  });
  const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };

  it("are all found that there was room for: what is kept as text counts as the bytes that it was", async () => {
    const dropped: string[] = [];
    const pipeline = {
      dropTask: ({ callId }: { readonly callId: string }) => Promise.resolve(void dropped.push(callId)),
    };
    const options = { ...DEFAULT_EDGE_LIMITS, pipeline, logger, nowMs: () => 1_000, randomBytes };
    const before = new TaskTable(options);
    const places = [0, 1, 2].map(() => before.enter(localCaller("alice"), receivedBytes + sentBytes).type);
    expect(places).toEqual(["taken", "taken", "full"]);
    const table = new TaskTable({ ...options, left: { tasks: [left(1), left(2), left(3)], stream: "ab".repeat(32) } });
    expect(dropped).toEqual([left(3).call]);
    expect(["theirs-1", "theirs-2"].map((id) => table.atServer("s", "[]", "modern", id)?.upstreamId)).toEqual([
      "theirs-1",
      "theirs-2",
    ]);
    await Promise.all([before.close(), table.close()]);
  });

  it("have the longest owner that a caller and a session can make", () => {
    // Each of these characters takes six in a text of JSON.
    const widest = "\u0001".repeat(255);
    const config = { issuer: "https://issuer.example/".padEnd(200, "x"), algs: ["ES256"] } as const;
    const caller = callerOfClaims(config, { sub: widest, sid: widest, exp: 1 }, "none");
    if (caller === undefined) throw new Error("no caller");
    const meta = Object.fromEntries(HOST_SESSION_KEYS.slice(-1).map((name) => [name, `${widest}\u0001`]));
    const owners = [
      ownerOf({ caller, session: modernSessionKey({}, undefined, caller) }),
      ownerOf({ caller, session: modernSessionKey({ _meta: meta }, undefined, localCaller("alice")) }),
    ];
    for (const owner of owners) {
      expect(owner.length).toBeGreaterThan(3_000);
      const task = { ...TASK, entry: { ...TASK.entry, owner, issuer: caller.issuer, name: caller.name } };
      expect(openSealed(sealTask(task, SECRET, NONCE), CALL, SECRET)).toEqual(task);
    }
  });
});

describe("the folder of open tasks", () => {
  let folder = "";
  let open: Map<string, { readonly decision: { readonly seq: number } }>;
  const logged: object[] = [];
  const logger = { info: () => undefined, warn: (line: object) => void logged.push(line), error: () => undefined };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "left-tasks-"));
    open = new Map([[CALL, { decision: { seq: 7 } }]]);
    await openVault(join(folder, "vault"), randomBytes).prepare(7);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const tasks = (): LeftTasks => {
    const book = { openTask: (id: string) => open.get(id) };
    return new LeftTasks({ folder, vaultFolder: join(folder, "vault"), book, randomBytes, logger });
  };
  const files = (): Promise<readonly string[]> => readdir(join(folder, "tasks"));

  async function keep(): Promise<void> {
    const first = tasks();
    first.keep(TASK);
    await first.settled();
  }

  it("has what was kept and not removed", async () => {
    await keep();
    expect(await tasks().readAll()).toEqual([TASK]);
    const next = tasks();
    next.remove(CALL);
    next.remove("never");
    await next.settled();
    expect([await next.readAll(), await files()]).toEqual([[], []]);
  });

  it("lets go of a file whose call has ended, whose secret is erased, or that is damaged or another's", async () => {
    await keep();
    const file = await readFile(join(folder, "tasks", CALL));
    open.set("ef".repeat(16), { decision: { seq: 7 } });
    await writeFile(join(folder, "tasks", "ef".repeat(16)), file);
    await writeFile(join(folder, "tasks", `${CALL}.tmp`), file);
    expect(await tasks().readAll()).toEqual([TASK]);
    expect(await files()).toEqual([CALL]);
    open.delete(CALL);
    expect([await tasks().readAll(), await files()]).toEqual([[], []]);
    open.set(CALL, { decision: { seq: 7 } });
    await keep();
    await eraseSecrets(join(folder, "vault"), [7]);
    expect([await tasks().readAll(), await files()]).toEqual([[], []]);
    await keep();
    expect(await files()).toEqual([]);
  });

  it("that cannot be written loses the task, and says so", async () => {
    await mkdir(join(folder, "tasks", `${CALL}.tmp`), { recursive: true });
    await keep();
    expect(logged).toHaveLength(1);
    expect(await tasks().readAll()).toEqual([]);
  });
});
