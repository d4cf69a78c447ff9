/**
 * A log of receipts as it runs in production (streams, forks, archive, index, leaf tables, published checkpoint) on a machine of
 * which every write can fail and whose power can be cut: what it promised, and whether the machine still has it.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import type { Admitted } from "../../ledger/admission/admit.ts";
import { readSegment } from "../../ledger/admission/candidates.ts";
import { admitSegment } from "../../ledger/admission/continue.ts";
import { ForkBook } from "../../ledger/admission/fork-book.ts";
import { Refusal } from "../../ledger/admission/refusal.ts";
import { register } from "../../ledger/admission/register.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import type { SignedCheckpoint } from "../../ledger/checkpoint/checkpointer.ts";
import { Publisher } from "../../ledger/checkpoint/publisher.ts";
import { makeInlineReader } from "../../ledger/reading/reader.ts";
import { type OpenTestLog, openTestLog } from "./ledger-log.ts";
import { LEDGER_ORIGIN } from "./ledger-service.ts";
import { registrationOf, segmentOf } from "./ledger-submitter.ts";
import { NO_CHECKS } from "./no-checks.ts";
import { PowerCutDisk, type Survives } from "./power-cut-disk.ts";
import { PowerCutIndex } from "./power-cut-index.ts";
import { PowerCutTables } from "./power-cut-tables.ts";
import { gatewayKeys, type MadeStream, makeStream, receiptContents } from "./receipts.ts";

/** Small, so that files are left, archived and used again; a segment or two fill one. */
const WAL_FILE_BYTES = 65_536;
/** Of nothing. */
const NO_LEAF = hashLeaf(new Uint8Array(0));

/** The disk, the index and the leaf tables of one process. */
export class Machine {
  readonly disk: PowerCutDisk;
  readonly index: PowerCutIndex;
  readonly tables: PowerCutTables;
  readonly #number: number;

  private constructor(disk: PowerCutDisk, index: PowerCutIndex, tables: PowerCutTables, number: number) {
    [this.disk, this.index, this.tables, this.#number] = [disk, index, tables, number];
  }

  /** An empty one. @param root  an empty folder that the test removes */
  static make(root: string): Machine {
    const disk = new PowerCutDisk();
    return new Machine(disk, new PowerCutIndex(disk), new PowerCutTables(disk, root), 0);
  }

  /** The process ends; the next one finds everything that was written. */
  endProcess(): Machine {
    return this.#next(this.disk.endProcess());
  }

  /** The power is cut; of what was not synced is there what `survives`. */
  cutPower(survives: Survives): Machine {
    return this.#next(this.disk.cutPower(survives), survives);
  }

  /** Closes what a dead process would no longer have open. */
  close(): Promise<void> {
    return this.tables.store.close();
  }

  #next(disk: PowerCutDisk, survives?: Survives): Machine {
    const number = this.#number + 1;
    return new Machine(disk, this.index.next(disk, survives), this.tables.next(disk, number, survives), number);
  }
}

const LONG: MadeStream = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 660 });
const SHORT: MadeStream = makeStream({ keys: gatewayKeys(20), log: LEDGER_ORIGIN, calls: 40 });
const RIVAL = makeStream({ keys: LONG.keys, log: LEDGER_ORIGIN, count: 4 }).next(
  receiptContents(LONG.keys, LEDGER_ORIGIN).heartbeat,
);
const FORK: MadeStream = { ...LONG, receipts: [...LONG.receipts.slice(0, 4), RIVAL] };

/** What clients do, one after the other. */
type Operation =
  | { readonly kind: "register"; readonly stream: MadeStream }
  | { readonly kind: "segment"; readonly stream: MadeStream; readonly first: number; readonly bytes: Uint8Array }
  | { readonly kind: "fork"; readonly bytes: Uint8Array };

function segment(stream: MadeStream, first: number, end: number): Operation {
  return { kind: "segment", stream, first, bytes: segmentOf(stream, first, end) };
}

/** Two streams side by side; a fork; enough receipts for four leaf tables and the one that they become. */
const OPERATIONS: readonly Operation[] = [
  { kind: "register", stream: LONG },
  segment(LONG, 0, 60),
  { kind: "register", stream: SHORT },
  segment(SHORT, 0, 30),
  { kind: "fork", bytes: segmentOf(FORK, 4, 5) },
  ...Array.from({ length: 8 }, (_, i) => segment(LONG, 60 + i * 150, 60 + (i + 1) * 150)),
  segment(SHORT, 30, 70),
  segment(LONG, 1260, 1310),
];

/** Of the receipts of a segment every so many are looked up, and the last; the first and the last are read. */
const LOOK_EACH = 7;

/** What clients do again and more, behind a failure. */
const MORE = 2;

/** What the log promised. */
export interface PromisedReceipts {
  /** By operation that was acknowledged. */
  readonly admitted: Map<Operation, Admitted>;
  readonly registered: Map<MadeStream, bigint>;
  isForkRefused: boolean;
  readonly signed: SignedCheckpoint[];
  /** Size of the published checkpoint. */
  published: bigint;
  /** Operations that were answered; the next one may have been cut off. */
  done: number;
}

/** Nothing yet. */
export function noReceipts(): PromisedReceipts {
  return { admitted: new Map(), registered: new Map(), isForkRefused: false, signed: [], published: 0n, done: 0 };
}

/** An open log of receipts. */
export interface ReceiptsLog extends OpenTestLog {
  readonly streams: StreamBook;
  readonly forks: ForkBook;
  readonly publisher: Publisher;
  readonly submit: (segment: Uint8Array) => Promise<Admitted>;
  readonly register: (stream: MadeStream) => Promise<bigint>;
}

/** Opens the log of a machine. @throws as `openLog` */
export async function openReceipts({ disk, index, tables }: Machine): Promise<ReceiptsLog> {
  const streams = new StreamBook();
  const stores = { store: index, leaves: tables.store, replay: streams };
  const log = await openTestLog(disk, { ...stores, fileBytes: WAL_FILE_BYTES });
  const forks = new ForkBook({ disk, tree: log.tree, streams, found: log.conflicts });
  const onKept = (receipt: Uint8Array): void => forks.add(receipt);
  const parts = { ...log, streams, onConflict: () => undefined, onKept, checks: NO_CHECKS };
  const desk = { streams, origin: LEDGER_ORIGIN, reader: makeInlineReader() };
  const registering = { origin: LEDGER_ORIGIN, admission: { software_evidence: "allow" as const } };
  return {
    ...log,
    streams,
    forks,
    publisher: new Publisher(disk, log.published, log.unwitnessed),
    submit: async (bytes) => admitSegment(parts, desk, await readSegment(desk, bytes)),
    register: async ({ keys }) => {
      const bytes = registrationOf(keys);
      return (await register({ ...registering, sequencer: log.sequencer, streams }, bytes)).index;
    },
  };
}

/** Does what was not answered yet, up to `count` operations; signs, publishes and retires; stops at the first fault. */
export async function runReceipts(
  log: ReceiptsLog,
  promised: PromisedReceipts,
  count: number = OPERATIONS.length,
): Promise<void> {
  for (const operation of OPERATIONS.slice(promised.done, promised.done + count)) {
    const isAnswered = await attempt(log, promised, operation).catch(() => false);
    if (isAnswered) promised.done += 1;
    if (isAnswered && log.halt.fault === undefined) await signAndPublish(log, promised);
    await log.retire();
    // So that steps come in one order.
    await log.index.waitForLeaves().catch(() => undefined);
    if (log.halt.fault !== undefined || !isAnswered) return;
  }
}

/** The operation that was cut off, and some behind it. */
export function runOn(log: ReceiptsLog, promised: PromisedReceipts): Promise<void> {
  return runReceipts(log, promised, 1 + MORE);
}

async function attempt(log: ReceiptsLog, promised: PromisedReceipts, operation: Operation): Promise<boolean> {
  if (operation.kind === "register") {
    promised.registered.set(operation.stream, await log.register(operation.stream));
  } else if (operation.kind === "segment") {
    promised.admitted.set(operation, await log.submit(operation.bytes));
  } else {
    promised.isForkRefused = await log.submit(operation.bytes).then(
      () => false,
      (error: unknown) => error instanceof Refusal && error.error.code === "ERR_STREAM_FORK",
    );
    return promised.isForkRefused;
  }
  return true;
}

async function signAndPublish(
  { checkpointer, publisher, halt }: ReceiptsLog,
  promised: PromisedReceipts,
): Promise<void> {
  if (promised.done % 2 === 0) await checkpointer.tick();
  const { logged } = checkpointer;
  if (logged === undefined || logged === promised.signed.at(-1)) return;
  promised.signed.push(logged);
  try {
    await publisher.publish(logged);
    promised.published = logged.size;
  } catch (error) {
    halt.trip(error);
  }
}

/** @throws Error naming the promise that the log does not keep */
export async function checkReceipts(log: ReceiptsLog, promised: PromisedReceipts): Promise<void> {
  for (const [operation, { firstIndex, count }] of promised.admitted) {
    if (operation.kind !== "segment") continue;
    const { stream, first } = operation;
    const account = log.streams.find(stream.stream);
    expectThat((account?.nextSeq ?? 0) >= first + count, `the tip is below ${first + count}`);
    const places = placesOf(count);
    const leaves = places.map((i) => leafOf(stream, first + i));
    const known = await log.index.find(leaves);
    for (const [n, i] of places.entries()) {
      const index = firstIndex + BigInt(i);
      const where = `receipt ${first + i} was acknowledged at ${index}`;
      // Known by the hash tile that has it there.
      const found = known(leaves[n] ?? NO_LEAF);
      expectThat(found === index, `${where}, its leaf is known at ${found}`);
      if (i > 0 && i < count - 1) continue;
      const bytes = stream.receipts[first + i]?.bytes ?? new Uint8Array(0);
      expectThat(equalBytes(await log.tree.readEntry(index), bytes), `${where}, which holds another entry`);
      const placed = await log.streams.indexOf(stream.stream, first + i);
      expectThat(placed === index, `${where}, its row says ${placed}`);
    }
  }
  for (const [stream, index] of promised.registered) {
    const found = log.streams.find(stream.stream)?.registration.index;
    expectThat(found === Number(index), `a registration was acknowledged at ${index} and is at ${found}`);
  }
  if (promised.isForkRefused) {
    const evidence = await log.forks.evidence(LONG.stream);
    expectThat(evidence.length === 1, `${evidence.length} documents about a fork that was refused`);
  }
  await checkSigned(log, promised);
}

/** Which of a segment's receipts are looked up. */
function placesOf(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => i % LOOK_EACH === 0 || i === count - 1);
}

/** Hashes of receipts, made once. */
const leaves = new Map<MadeStream, LeafHash[]>();

function leafOf(stream: MadeStream, seq: number): LeafHash {
  const all = leaves.get(stream) ?? stream.receipts.map(({ bytes }) => hashLeaf(bytes));
  leaves.set(stream, all);
  return all[seq] ?? NO_LEAF;
}

/** What was signed and published follows from what is on the disk. */
async function checkSigned({ tree, publisher }: ReceiptsLog, { signed, published }: PromisedReceipts): Promise<void> {
  for (const { size, root } of signed) {
    expectThat(size <= tree.size, `size ${size} was signed, the disk derives ${tree.size}`);
    const derived = await readRoot(size, tree.reader(size));
    expectThat(equalBytes(derived, root), `another root was signed for size ${size}`);
  }
  const found = publisher.published?.size ?? 0n;
  expectThat(found >= published, `size ${published} was published, the disk has ${found}`);
}

function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
