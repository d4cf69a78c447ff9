/**
 * One node of a log whose sequence is in PostgreSQL and whose tiles are in an S3-compatible store. It keeps nothing on its
 * machine: any number of nodes admit and serve, one of those that integrate holds the lease. It is the same `Ledger` that HTTP
 * serves from with the driver `files`.
 */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import type { ErrorCode } from "../../kernel/error-codes.ts";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import type { Genesis } from "../../kernel/genesis.ts";
import { signersNow } from "../../kernel/lifecycle/log-state.ts";
import { EMPTY_ROOT, hashLeaf } from "../../kernel/merkle/hash.ts";
import type { Clock } from "../../kernel/service/service.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { StreamBook } from "../admission/stream-book.ts";
import { LogProofs } from "../checkpoint/log-proofs.ts";
import type { CheckpointSigner } from "../checkpoint/signing.ts";
import { checkGenesis } from "../genesis.ts";
import { Halt } from "../halt.ts";
import type { LedgerStatus } from "../http/operations-routes.ts";
import { identityOf, type Ledger, makePromises, makeSigner, newGenesis } from "../ledger.ts";
import type { KeyRing } from "../lifecycle/key-ring.ts";
import { openManagement } from "../lifecycle/management.ts";
import { StatementBook } from "../lifecycle/statement-book.ts";
import { Metrics } from "../metrics.ts";
import { startPushing } from "../mirror/start-pushing.ts";
import type { LedgerOptions } from "../options.ts";
import { Periodic } from "../periodic.ts";
import type { Decision, Sequencer } from "../sequence/proposal.ts";
import type { SequencerLimits } from "../sequence/proposal-queue.ts";
import { TraceBook } from "../trace/trace-book.ts";
import { STORAGE_DEFAULTS } from "./config.ts";
import { bigintAt, type Database, openDatabase } from "./database.ts";
import { makeForkRows } from "./fork-rows.ts";
import { makeFreshness, makeStreamsKnown } from "./freshness.ts";
import { HeadTable } from "./head-table.ts";
import { HeadWatch } from "./head-watch.ts";
import { Integrator } from "./integrator.ts";
import { logHalted } from "./log-halt.ts";
import { NameWatch } from "./name-watch.ts";
import { readStatus, watchMetrics } from "./node-status.ts";
import { NodeTree } from "./node-tree.ts";
import { type ObjectStore, openObjectStore } from "./object-store.ts";
import { type NodeStorage, placeOf, storageOf } from "./options.ts";
import { probeStore } from "./probe-store.ts";
import { RetentionWatch } from "./retention-watch.ts";
import { makeRowReader, RowLeafIndex } from "./row-store.ts";
import { prepareTables } from "./schema.ts";
import { checkSeenElsewhere } from "./seen-elsewhere.ts";
import { StatementSync } from "./statement-sync.ts";
import { readStoredRetention } from "./stored-retention.ts";
import { StreamSync } from "./stream-sync.ts";
import { TileBucket } from "./tile-bucket.ts";
import { TurnSequencer } from "./turn-sequencer.ts";

/** Bounds of memory: what may wait, and what one transaction takes. */
const LIMITS: SequencerLimits = {
  maxQueuedEntries: 65_536,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxBatchEntries: 4096,
  maxBatchBytes: 4 * 1024 * 1024,
};
/** Time between two looks at the head row, and after which a database that does not answer makes the node not ready. */
const WATCH_MS = 100;
const SILENT_MS = 5000;
/** Time between two looks at the minimum index. */
const RETENTION_MS = 2000;
/** Faults of a turn behind which no other one may follow. */
const HALTING_TURNS: ReadonlySet<ErrorCode> = new Set(["ERR_DATABASE_SCHEMA", "ERR_LOG_BEHIND", "ERR_LOG_HALTED"]);
const SYSTEM_CLOCK: Clock = { nowMs: () => Date.now() };

/** What every part of a node is made from. */
interface Base {
  readonly options: LedgerOptions;
  readonly storage: NodeStorage;
  readonly signer: KeyRing;
  readonly clock: Clock;
  readonly halt: Halt;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly store: ObjectStore;
  readonly log: bigint;
  readonly heads: HeadTable;
  readonly watch: HeadWatch;
  readonly retention: RetentionWatch;
  readonly streams: StreamBook;
  readonly tree: NodeTree;
  readonly book: StatementBook;
  readonly statements: StatementSync;
  /** Undefined for a log that takes no trust records. */
  readonly names: NameWatch | undefined;
}

/**
 * Opens a node. The tables are made if they are missing, and the genesis entry is written if the log is new.
 *
 * @throws {FormatError} ERR_CONFIG, ERR_POLICY*
 * @throws {StoreError} ERR_DATABASE*, ERR_OBJECT_STORE, ERR_CONDITIONAL_WRITE, ERR_GENESIS_MISMATCH, ERR_RETENTION
 * @throws {StoreError} ERR_LOG_HALTED, fatal: an integrator found that the log must not go on, and nobody has cleared it
 * @throws {StoreError} ERR_LOG_BEHIND, {CheckError} ERR_WITNESS_AHEAD: the bucket or a witness has seen more than the database has
 */
export async function openNode(options: LedgerOptions): Promise<Ledger> {
  const storage = storageOf(options);
  const signer = makeSigner(options);
  const database = openDatabase(storage.secrets.databaseUrl);
  const closers = [() => database.close(), signer.close];
  try {
    const base = await openBase(options, storage, signer, database);
    await checkSeenElsewhere({ ...base, logKeys: [...signer.keys, ...base.book.keys] });
    return await assemble(base, closers);
  } catch (error) {
    for (const close of closers) await close().catch(() => undefined);
    throw error;
  }
}

async function openBase(
  options: LedgerOptions,
  storage: NodeStorage,
  signer: KeyRing,
  database: Database,
): Promise<Base> {
  const { config, secrets } = storage;
  const clock = options.clock ?? SYSTEM_CLOCK;
  const store = openObjectStore(placeOf(config), secrets.credentials, secrets.fetch ?? fetch);
  await probeStore(store);
  const log = await prepareTables(database, options.config.origin, EMPTY_ROOT);
  const heads = new HeadTable(database, log);
  const [halt, metrics, streams, book] = [new Halt(), new Metrics(), new StreamBook(), new StatementBook()];
  const onChange = (): void => useKeys(signer, statements.settled, halt);
  const statements: StatementSync = new StatementSync({ sql: database, log, book, onChange });
  await statements.refresh();
  // A node without the keys of now does not start.
  if (halt.fault instanceof Error) throw halt.fault;
  const watch = new HeadWatch({
    heads,
    origin: options.config.origin,
    logKeys: () => [...signer.keys, ...statements.settled.keys],
    nowMs: () => performance.now(),
  });
  await watch.refresh();
  const tree = new NodeTree({ sql: database, log, tiles: new TileBucket(store), watch });
  const names = options.config.trace === undefined ? undefined : new NameWatch();
  const readRetention = (): ReturnType<typeof readStoredRetention> => readStoredRetention(store);
  const retention = new RetentionWatch({ read: readRetention, logger: options.logger }, await readRetention());
  const made = { halt, retention, metrics, streams, book, statements, names };
  return { options, storage, signer, clock, database, store, log, heads, watch, tree, ...made };
}

async function assemble(base: Base, closers: readonly (() => Promise<void>)[]): Promise<Ledger> {
  const { options, storage, clock, halt, metrics, database, log, watch, streams, tree, book, statements } = base;
  const role = storage.config.role ?? STORAGE_DEFAULTS.role;
  const turns = await openTurns(base);
  const integrator = role === "admission" ? undefined : makeIntegrator(base);
  halt.onTrip((fault) => {
    options.logger.error({ err: fault }, "the node halted: it admits and signs nothing any more");
    void turns.stop(fault);
    integrator?.halt(fault);
  });
  const genesis = await readGenesis(base, turns);
  const index = new RowLeafIndex(database, log, (at) => watch.reach(at));
  const stopWatching = startWatching(base);
  const refreshStreams = (): Promise<void> => turns.refresh();
  const knowStreams = makeStreamsKnown(streams, refreshStreams);
  integrator?.start();
  const mirrors = startMirrors(base, integrator);
  let isClosing = false;
  const isReady = (): boolean => halt.fault === undefined && !isClosing && base.watch.ageMs < SILENT_MS;
  const status = (): LedgerStatus => ({ ...readStatus(base, role, integrator, isReady()), ...mirrors.status() });
  watchMetrics(metrics, status, turns);
  const close = async (): Promise<void> => {
    if (isClosing) return;
    isClosing = true;
    await turns.stop();
    await integrator?.stop();
    await mirrors.stop();
    stopWatching();
    for (const each of closers) await each();
  };
  const sequencer = role === "integrator" ? REFUSING : turns;
  const traces = new TraceBook(options.config.origin, false);
  await traces.load(makeRowReader(database, log));
  const managed = openManagement(options, {
    log: servedOf(base, { tree, index, sequencer }),
    book,
    settled: statements.settled,
    ring: base.signer,
    publisher: watch,
    streams,
    clock,
  });
  return {
    log: managed.served,
    management: managed.management,
    streams,
    forks: makeForkRows({ sql: database, log, tree, streams }),
    traces,
    ...(base.names === undefined ? {} : { nameGuard: base.names }),
    checkpointer: watch,
    publisher: watch,
    proofs: new LogProofs({ tree, index, checkpointer: watch, publisher: watch }),
    promises: makePromises(options, base.signer, clock, metrics),
    clock,
    metrics,
    genesis,
    policy: parseWitnessPolicy(options.config.witness_policy),
    status,
    isReady,
    beforeRequest: makeFreshness({ watch, refreshStreams, knowStreams, refreshStatements: () => statements.refresh() }),
    knowStreams,
    // Every receipt is read before it is admitted.
    checking: { checks: undefined, findings: undefined, close: () => Promise.resolve() },
    close,
  };
}

/** Follows what other nodes and operators do. @returns what ends it */
function startWatching({ watch, halt, retention }: Base): () => void {
  const periodics = [
    new Periodic(WATCH_MS, () => refreshOrHalt(watch, halt)),
    new Periodic(RETENTION_MS, () => retention.refresh()),
  ];
  for (const each of periodics) each.start();
  return () => {
    for (const each of periodics) each.stop();
  };
}

/** Loads the streams as they are after the last turn that is over, and sequences from there. */
async function openTurns({
  storage,
  database,
  log,
  streams,
  statements,
  names,
  watch,
  metrics,
  halt,
  options,
}: Base): Promise<TurnSequencer> {
  const [row] = await database.query("SELECT turn FROM countersign_sequence WHERE log = $1", [log]);
  const seen = bigintAt(row, "turn");
  await streams.load(makeRowReader(database, log));
  return new TurnSequencer({
    database,
    log,
    limits: LIMITS,
    maxBacklog: BigInt(storage.config.max_backlog ?? STORAGE_DEFAULTS.maxBacklog),
    streams: new StreamSync(streams, log, seen, { statements, names }),
    onTurn: ({ entries, durationMs, size }) => {
      if (size > 0n) watch.reach(size - 1n);
      if (entries > 0) metrics.countBatch({ entries, durationMs });
    },
    knownSize: () => watch.next,
    onFault: (error) => {
      options.logger.warn({ err: error }, "a turn of sequencing failed; its requests got 503");
      if (isCodedError(error) && HALTING_TURNS.has(error.code)) halt.trip(error);
    },
    nowMs: () => performance.now(),
  });
}

/** Writes the genesis entry of a new log, whichever node is first, and checks it against the configuration. */
async function readGenesis({ options, signer, clock, tree, book }: Base, turns: TurnSequencer): Promise<Genesis> {
  const bytes = newGenesis(options, signer, clock);
  const entry = { bytes, leaf: hashLeaf(bytes) };
  await turns.submit({
    entries: [],
    decide: (_known, next) =>
      next === 0n
        ? { entries: [entry], rows: book.replay(bytes, 0n), settle: () => undefined }
        : { entries: [], settle: () => undefined },
  });
  const written = await tree.readEntry(0n);
  const genesis = checkGenesis(written, identityOf(options));
  // Logs of earlier versions have no row of it.
  if (!book.hasGenesis) {
    const decide = (): Decision<void> => ({ entries: [], rows: book.replay(written, 0n), settle: () => undefined });
    await turns.submit({ entries: [], decide });
  }
  signer.use(signersNow(book.state));
  return genesis;
}

function makeIntegrator(base: Base): Integrator {
  const { options, storage, halt, metrics, watch } = base;
  return new Integrator({
    ...base,
    signer: makeTermSigner(base),
    policy: parseWitnessPolicy(options.config.witness_policy),
    holder: `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`,
    leaseMs: storage.config.lease_ms ?? STORAGE_DEFAULTS.leaseMs,
    onChange: () => void refreshOrHalt(watch, halt),
    onWitness: (url, kind) => metrics.countWitness(url, kind),
    onHalt: (fault) => halt.trip(fault),
  });
}

/** Whoever integrates pushes, and shows how far mirrors are: they need not be told everything by each node. */
function startMirrors(
  base: Base,
  integrator: Integrator | undefined,
): { readonly status: () => Pick<LedgerStatus, "mirrors">; readonly stop: () => Promise<void> } {
  const { options, tree, watch, metrics } = base;
  const isActive = (): boolean => integrator?.isActive === true;
  const { views, stop } = startPushing(options, servedOf(base, { tree }), () =>
    isActive() ? watch.published : undefined,
  );
  metrics.watchMirrors(() => (isActive() ? views() : []));
  const isShown = (): boolean => isActive() && options.config.mirrors !== undefined;
  return { status: () => (isShown() ? { mirrors: views() } : {}), stop };
}

/** With the minimum index of each moment. */
function servedOf<T>(
  { retention }: Base,
  parts: T,
): T & { readonly minimumIndex: bigint; readonly retentionPolicy: string | undefined } {
  const minimum = {
    get minimumIndex() {
      return retention.minimumIndex;
    },
    get retentionPolicy() {
      return retention.policy;
    },
  };
  return Object.assign(minimum, parts);
}

/** A node without a key that signs the log's checkpoints halts, as one does not start without it. */
function useKeys(signer: KeyRing, settled: StatementBook, halt: Halt): void {
  try {
    signer.use(signersNow(settled.state));
  } catch (error) {
    halt.trip(error);
  }
}

/** Signs with the keys that the log has at the size of a checkpoint: another node may have rotated them a moment ago. */
function makeTermSigner({ signer, statements }: Base): CheckpointSigner {
  const { settled } = statements;
  return {
    get keys() {
      return [...signer.keys, ...settled.keys];
    },
    sign: async (text, timestampSeconds) => {
      await statements.refresh();
      signer.use(statements.signersAt(parseCheckpoint(text).size));
      const lines = signer.sign(text, timestampSeconds);
      // Promises are of what holds now.
      signer.use(signersNow(settled.state));
      return lines;
    },
    close: signer.close,
  };
}

/** A node that only integrates answers reads; its own turns are for those. */
const REFUSING: Sequencer = {
  queuedEntries: 0,
  submit: () => Promise.reject(new StoreError("ERR_NODE_ROLE", "this node only integrates; it takes no entries")),
};

/** A database that does not answer is seen by the age of what is known. */
async function refreshOrHalt(watch: HeadWatch, halt: Halt): Promise<void> {
  try {
    await watch.refresh();
    if (watch.halt !== undefined) halt.trip(logHalted(watch.halt));
  } catch (error) {
    if (!(error instanceof StoreError) || error.fatal) halt.trip(error);
  }
}
