/**
 * A running ledger without its HTTP server: the open log, its checkpoints and cosigning, proofs, status. `openLedger`
 * takes the folder's lock first and gives up everything it took if a later step fails.
 */

import { errorCode } from "../kernel/errors.ts";
import { type Genesis, makeGenesis, parseGenesis } from "../kernel/genesis.ts";
import { signersNow } from "../kernel/lifecycle/log-state.ts";
import { standingOf } from "../kernel/lifecycle/log-status.ts";
import { hashLeaf } from "../kernel/merkle/hash.ts";
import { proveConsistency } from "../kernel/merkle/prove.ts";
import { formatVerifierKey, type VerifierKey } from "../kernel/note/verifier-key.ts";
import type { Clock } from "../kernel/service/service.ts";
import { formatPublicKey } from "../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../kernel/signature/signer.ts";
import { formatTimestamp } from "../kernel/time.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "../kernel/witness-policy.ts";
import { ForkBook, type ForkEvidence } from "./admission/fork-book.ts";
import { StreamBook } from "./admission/stream-book.ts";
import { Checkpointer, type LoggedCheckpoints } from "./checkpoint/checkpointer.ts";
import { Cosigning } from "./checkpoint/cosigning.ts";
import { askWitnesses, FIRST_ROUND_MS } from "./checkpoint/first-round.ts";
import { LogProofs } from "./checkpoint/log-proofs.ts";
import { type PublishedCheckpoints, Publisher } from "./checkpoint/publisher.ts";
import { witnessReach } from "./checkpoint/witness-view.ts";
import type { ReceiptChecks } from "./checks/receipt-checks.ts";
import { type Checking, openChecks } from "./checks/start.ts";
import { LEDGER_DEFAULTS } from "./config.ts";
import { checkGenesis, type LogIdentity } from "./genesis.ts";
import { Halt } from "./halt.ts";
import type { LedgerStatus } from "./http/operations-routes.ts";
import type { BeforeRequest } from "./http/server.ts";
import { openLeaves } from "./leaves/start.ts";
import { KeyRing } from "./lifecycle/key-ring.ts";
import { type Management, openManagement } from "./lifecycle/management.ts";
import { shardOf } from "./lifecycle/shard.ts";
import { replayAll, StatementBook } from "./lifecycle/statement-book.ts";
import { type Log, openLog, type ServedLog } from "./log.ts";
import { type MetricSources, Metrics } from "./metrics.ts";
import { startPushing } from "./mirror/start-pushing.ts";
import type { LedgerOptions } from "./options.ts";
import { Periodic } from "./periodic.ts";
import { PromiseDesk } from "./promise/promise-desk.ts";
import { type StartReport, StartTimes } from "./recovery/start-times.ts";
import { openLevelIndex } from "./sequence/level-index.ts";
import type { Decision } from "./sequence/proposal.ts";
import type { SequencerLimits } from "./sequence/proposal-queue.ts";
import { writingOf } from "./sequence/start.ts";
import { makeDataFolder } from "./storage/data-dir.ts";
import { lockFolder } from "./storage/folder-lock.ts";
import { openDisk } from "./storage/start.ts";
import { replayBoth, TraceBook } from "./trace/trace-book.ts";
import type { NameGuard } from "./trace/trace-desk.ts";

/** Bounds of memory: what may wait, and what one sync takes. */
const LIMITS: SequencerLimits = {
  maxQueuedEntries: 65_536,
  maxQueuedBytes: 64 * 1024 * 1024,
  maxBatchEntries: 1024,
  maxBatchBytes: 8 * 1024 * 1024,
};
const RETIRE_MS = 1000;
const HALTED = "the ledger halted: it admits and signs nothing any more";
/** What was checked since is checked again after a crash. */
const RECORD_CHECKED_MS = 1000;
const SYSTEM_CLOCK: Clock = { nowMs: () => Date.now() };

/** A ledger that runs; HTTP serves from its members. */
export interface Ledger {
  readonly log: ServedLog;
  readonly streams: StreamBook;
  readonly forks: ForkEvidence;
  readonly traces: TraceBook;
  /** Tells of names that other nodes changed; absent where there are none. */
  readonly nameGuard?: NameGuard;
  readonly clock: Clock;
  readonly checkpointer: LoggedCheckpoints;
  readonly publisher: PublishedCheckpoints;
  readonly proofs: LogProofs;
  readonly promises: PromiseDesk;
  readonly checking: Checking;
  readonly metrics: Metrics;
  readonly genesis: Genesis;
  /** What the log says of itself; absent where the storage driver knows no statements. */
  readonly management?: Management;
  readonly policy: WitnessPolicy;
  readonly status: () => LedgerStatus;
  /** Brings the node up to date with others of the same log where a request needs that; absent where there are none. */
  readonly beforeRequest?: BeforeRequest;
  /** Takes over the streams that a submission names, if another node registered them. */
  readonly knowStreams?: (submission: Uint8Array) => Promise<void>;
  /** False once a fault halted the ledger or while it closes; what `status` says of it, without the rest. */
  readonly isReady: () => boolean;
  /** Takes nothing new, finishes what is queued, signs and publishes it if witnesses answer, closes. */
  readonly close: () => Promise<void>;
}

/**
 * Opens the ledger of a data folder.
 *
 * @throws {FormatError} ERR_CONFIG (keys that do not fit the configuration), ERR_POLICY*
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_GENESIS_MISMATCH, and as `openLog`
 * @throws {CheckError} ERR_WITNESS_AHEAD: a witness has seen more of the log than the folder holds
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const policy = parseWitnessPolicy(options.config.witness_policy);
  const ring = makeSigner(options);
  const { data_dir: dataDir } = options.config;
  await makeDataFolder(dataDir, options.logger);
  const closers: (() => Promise<void>)[] = [ring.close];
  try {
    const lock = await lockFolder(dataDir);
    closers.unshift(lock.release);
    return await assemble(options, policy, ring, closers);
  } catch (error) {
    for (const close of closers) await close().catch(() => undefined);
    throw error;
  }
}

/** @param closers  what is open; the first is closed first. Everything opened here is added in front. */
async function assemble(
  options: LedgerOptions,
  policy: WitnessPolicy,
  ring: KeyRing,
  closers: (() => Promise<void>)[],
): Promise<Ledger> {
  const clock = options.clock ?? SYSTEM_CLOCK;
  const { wrapIndex = (store) => store } = options;
  const disk = openDisk(options);
  const [halt, metrics, times, streams] = [new Halt(), new Metrics(), new StartTimes(), new StreamBook()];
  const [traces, book] = [new TraceBook(options.config.origin), new StatementBook()];
  const logKeys = (): readonly VerifierKey[] => [...ring.keys, ...book.keys];
  halt.onTrip((err) => options.logger.error({ err }, HALTED));
  const store = wrapIndex(await openLevelIndex(options.config.data_dir));
  const leaves = openLeaves(options);
  closers.unshift(() => leaves.close());
  times.end("index_opened");
  const log = await openLog({
    disk,
    store,
    leaves,
    times,
    replay: options.config.log_kind === "receipts" ? replayAll([replayBoth(streams, traces), book]) : book,
    logKeys,
    ...writingOf(options),
    limits: LIMITS,
    clock,
    halt,
    onBatch: (batch) => metrics.countBatch(batch),
  });
  closers.unshift(log.close);
  await askFirst(options, policy, log, logKeys());
  times.end("witnesses_asked");
  const genesis = await readGenesis(log, options, ring, book, clock);
  ring.use(signersNow(book.state));
  const checking = await openChecks({ options, log, store, streams, halt });
  closers.unshift(checking.close);
  const publisher = new Publisher(disk, log.published, log.unwitnessed);
  const checkpointer = await openCheckpointer(options.config.origin, log, ring, clock, halt);
  times.end("checkpoint_signed");
  const started: StartReport = { phasesMs: times.phasesMs(), ...log.recovered };
  options.logger.info({ ...started }, "the log was derived from disk");
  const cosigning = makeCosigning({ options, policy, clock, log, halt, metrics, publisher, checkpointer });
  const proofs = new LogProofs({ tree: log.tree, index: log.index, checkpointer, publisher });
  const promises = makePromises(options, ring, clock, metrics);
  const pulse = startPulse(options, { log, checkpointer, cosigning, checks: checking.checks });
  const pushing = startPushing(options, log, () => publisher.published);
  let isClosing = false;
  const isReady = (): boolean => halt.fault === undefined && !isClosing;
  const status = (): LedgerStatus => {
    const { checks } = checking;
    const now = readStatus({ log, checkpointer, publisher, cosigning, clock, halt, checks, book }, isReady());
    return options.config.mirrors === undefined ? now : { ...now, mirrors: pushing.views() };
  };
  metrics.watch(sourcesOf(status, log, checking, started));
  metrics.watchMirrors(pushing.views);
  const close = async (): Promise<void> => {
    if (isClosing) return;
    isClosing = true;
    await log.sequencer.stop();
    await pulse.finish();
    await pushing.stop();
    for (const each of closers) await each();
  };
  const forks = new ForkBook({ disk, tree: log.tree, streams, found: log.conflicts });
  const served = { checkpointer, publisher, proofs, promises, checking, metrics, status, isReady };
  const managed = openManagement(options, { log, book, settled: book, ring, publisher, streams, clock });
  const { management } = managed;
  return { log: managed.served, streams, forks, traces, clock, genesis, management, policy, ...served, close };
}

/** The keys of the log; the first pair signs until its statements say otherwise. @throws {FormatError} ERR_CONFIG */
export function makeSigner({ config, logKeys, signing }: LedgerOptions): KeyRing {
  const ring = new KeyRing(config.origin, logKeys, signing === "inline");
  ring.use(ring.first);
  return ring;
}

/** Signs the head that was recorded last, if it was. */
async function openCheckpointer(
  origin: string,
  { tree, flushTiles, heads }: Log,
  signer: KeyRing,
  clock: Clock,
  halt: Halt,
): Promise<Checkpointer> {
  const onFatal = (error: unknown): void => halt.trip(error);
  const checkpointer = new Checkpointer({ origin, tree, flushTiles, heads, signer, clock, onFatal });
  await checkpointer.resume();
  return checkpointer;
}

/** Before anything is signed, the genesis entry of a new log included, and before what may be damage of more entries is cut. */
async function askFirst(
  { config, ...options }: LedgerOptions,
  policy: WitnessPolicy,
  log: Log,
  logKeys: readonly VerifierKey[],
): Promise<void> {
  await askWitnesses({
    origin: config.origin,
    policy,
    logKeys,
    tree: log.tree,
    published: log.published,
    fetch: options.fetch ?? fetch,
    timeoutMs: Math.min(FIRST_ROUND_MS, config.witness_timeout_ms ?? LEDGER_DEFAULTS.witnessTimeoutMs),
    nowMs: (options.clock ?? SYSTEM_CLOCK).nowMs,
    log: options.logger,
  });
  await log.wal.cutTorn();
}

/** Makes promises of the log, with the oldest key that signs. */
export function makePromises({ config }: LedgerOptions, ring: KeyRing, clock: Clock, metrics: Metrics): PromiseDesk {
  const { origin, promise_seconds: promiseSeconds = LEDGER_DEFAULTS.promiseSeconds } = config;
  const signer = (): EnvelopeSigner => ring.promiseSigner;
  return new PromiseDesk({ origin, promiseSeconds, signer, clock, onSigned: () => metrics.countPromise() });
}

/** What the log is configured to be. */
export function identityOf({ config, operatorKey }: LedgerOptions): LogIdentity {
  return {
    origin: config.origin,
    log_kind: config.log_kind,
    operator_key: formatPublicKey(operatorKey.publicKey),
    admission: config.admission,
    ...(config.shard === undefined ? {} : { shard: shardOf(config.shard, config.origin) }),
    ...(config.predecessor === undefined ? {} : { predecessor: { origin: config.predecessor } }),
  };
}

/** Entry bytes of the genesis of a new log. */
export function newGenesis(options: LedgerOptions, ring: KeyRing, clock: Clock): Uint8Array {
  const [created, keys] = [formatTimestamp(clock.nowMs()), ring.first.map(formatVerifierKey)];
  return makeGenesis({ kind: "log-genesis", v: 1, created, keys, ...identityOf(options) }, options.operatorKey);
}

/** Writes the genesis entry of a new log, or checks that of an old one against the configuration. */
async function readGenesis(
  log: Log,
  options: LedgerOptions,
  ring: KeyRing,
  book: StatementBook,
  clock: Clock,
): Promise<Genesis> {
  if (log.tree.size > 0n) return checkGenesis(await log.tree.readEntry(0n), identityOf(options));
  const bytes = newGenesis(options, ring, clock);
  const entry = { bytes, leaf: hashLeaf(bytes) };
  const decide = (): Decision<void> => ({ entries: [entry], rows: book.replay(bytes, 0n), settle: () => undefined });
  await log.sequencer.submit({ entries: [entry], decide });
  return parseGenesis(bytes);
}

interface CosigningInputs {
  readonly options: LedgerOptions;
  readonly policy: WitnessPolicy;
  readonly clock: Clock;
  readonly log: Log;
  readonly halt: Halt;
  readonly metrics: Metrics;
  readonly publisher: Publisher;
  readonly checkpointer: Checkpointer;
}

function makeCosigning(inputs: CosigningInputs): Cosigning {
  const { options, policy, clock, log, halt, metrics, publisher, checkpointer } = inputs;
  const limit = options.config.publish_without_quorum_after_seconds;
  halt.onTrip(() => void checkpointer.stop());
  const cosigning = new Cosigning({
    ...witnessReach(options),
    proveConsistency: (oldSize, size) => proveConsistency(oldSize, size, log.tree.reader(size)),
    recordedSize: () => checkpointer.recordedSize,
    policy,
    publisher,
    logged: () => checkpointer.logged,
    nowMs: () => clock.nowMs(),
    nowSeconds: () => BigInt(Math.floor(clock.nowMs() / 1000)),
    degradedAfterSeconds: limit === undefined ? undefined : BigInt(limit),
    log: options.logger,
    onResult: (url, kind) => metrics.countWitness(url, kind),
    onFatal: (error) => halt.trip(error),
  });
  halt.onTrip(() => void cosigning.stop());
  return cosigning;
}

/** The rhythm of a ledger: checkpoints, rounds of cosigning, retirement of write-ahead files. */
function startPulse(
  { config }: LedgerOptions,
  parts: {
    readonly log: Log;
    readonly checkpointer: Checkpointer;
    readonly cosigning: Cosigning;
    readonly checks: ReceiptChecks | undefined;
  },
): { readonly finish: () => Promise<void> } {
  const { log, checkpointer, cosigning, checks } = parts;
  const periodics = [
    new Periodic(config.checkpoint_ms ?? LEDGER_DEFAULTS.checkpointMs, () => checkpointer.tick()),
    new Periodic(config.witness_ms ?? LEDGER_DEFAULTS.witnessMs, () => cosigning.tick()),
    new Periodic(RETIRE_MS, () => log.retire()),
    new Periodic(RECORD_CHECKED_MS, async () => checks?.record()),
  ];
  for (const periodic of periodics) periodic.start();
  const finish = async (): Promise<void> => {
    for (const periodic of periodics) periodic.stop();
    // One that is under way may be of an older size: what it leaves is taken by the next one.
    for (let i = 0; i < 2; i += 1) await checkpointer.tick();
    for (let i = 0; i < 2; i += 1) await cosigning.tick();
    await checkpointer.stop();
    await cosigning.stop();
    await log.retire();
  };
  return { finish };
}

interface StatusInputs {
  readonly log: Log;
  readonly checkpointer: Checkpointer;
  readonly publisher: Publisher;
  readonly cosigning: Cosigning;
  readonly clock: Clock;
  readonly halt: Halt;
  readonly checks: ReceiptChecks | undefined;
  readonly book: StatementBook;
}

function readStatus(
  { log, checkpointer, publisher, cosigning, clock, halt, checks, book }: StatusInputs,
  ready: boolean,
): LedgerStatus {
  const metAt = publisher.published?.metAtSeconds;
  const { fault } = halt;
  return {
    ready,
    standing: standingOf(book.state),
    size: Number(log.tree.size),
    checked_size: Number(checks?.checkedSize ?? log.tree.size),
    logged_size: Number(checkpointer.logged?.size ?? 0n),
    published_size: Number(publisher.published?.size ?? 0n),
    quorum_age_seconds: metAt === undefined ? null : Math.floor(clock.nowMs() / 1000) - Number(metAt),
    shown_size: Number(publisher.shown?.size ?? 0n),
    degraded: publisher.shown?.state === "logged",
    witnesses: cosigning.health,
    ...(fault === undefined ? {} : { fault: errorCode(fault) }),
  };
}

function sourcesOf(
  status: () => LedgerStatus,
  log: Log,
  { checks, findings }: Checking,
  { phasesMs }: StartReport,
): MetricSources {
  return {
    uncheckedEntries: () => status().size - status().checked_size,
    uncheckedBytes: () => checks?.waiting.bytes ?? 0,
    findings: () => findings?.count ?? 0,
    files: {
      startPhasesMs: Object.entries(phasesMs),
      walEntries: () => log.wal.entries,
      walBytes: () => log.wal.bytes,
      filterBytes: () => log.index.filterBytes,
    },
    size: () => status().size,
    loggedSize: () => status().logged_size,
    publishedSize: () => status().published_size,
    queuedEntries: () => log.sequencer.queuedEntries,
    quorumAgeSeconds: () => status().quorum_age_seconds,
    isHalted: () => status().fault !== undefined,
    isDegraded: () => status().degraded,
    witnesses: () => status().witnesses,
  };
}
