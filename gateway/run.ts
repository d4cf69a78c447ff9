/**
 * A run of the gateway without its listeners: folder, servers, catalog, policy, stream, pipeline. Opened in this order, so
 * that a start which fails on policy or catalog leaves no trace in the stream; closed in the opposite one.
 */

import { formatHex } from "../kernel/hex.ts";
import type { JsonObject } from "../kernel/json/value.ts";
import type { Mode } from "../kernel/receipt/vocabulary.ts";
import type { Logger } from "../kernel/service/service.ts";
import { makeSealedPolicy, type SealedPolicy } from "./artifact/sealed-policy.ts";
import { sessionLoadOf } from "./artifact/session-load.ts";
import { SessionWatch } from "./artifact/session-watch.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { withFreshListings } from "./catalog/fresh-listings.ts";
import { type Relister, startRelisting } from "./catalog/relisting.ts";
import { makeCatalogReload, type ReloadedCatalog } from "./catalog-reload.ts";
import { closeRun } from "./close-run.ts";
import { GATEWAY_DEFAULTS } from "./config.ts";
import { type OperatorSwitches, openSwitches } from "./controls/switches.ts";
import { type DecisionBasis, loadBasis } from "./decision-basis.ts";
import { ChangeFeed } from "./edge/change-feed.ts";
import { RuleChanges } from "./edge/rule-changes.ts";
import { type AdmissionDesk, makeAdmissionDesk } from "./kubernetes/admission-desk.ts";
import { type LeftOfRun, openLeftTasks } from "./left-of-run.ts";
import { GatewayMetrics } from "./metrics.ts";
import type { GatewayOptions, World } from "./options.ts";
import type { Caller, CatalogReader, Pipeline } from "./pipeline/call.ts";
import type { TagTask } from "./pipeline/keyed-names.ts";
import type { Offers } from "./pipeline/offers.ts";
import { type StreamDeclaration, writeOpening } from "./pipeline/opening.ts";
import { makePipeline } from "./pipeline/pipeline.ts";
import { RefusalTally } from "./pipeline/refusal-tally.ts";
import { SessionDesk } from "./pipeline/session-desk.ts";
import { carriedOutBy } from "./pipeline/stage.ts";
import { startTimekeeper } from "./pipeline/timekeeper.ts";
import { checkCarriedOut } from "./policy/obligations.ts";
import type { ReloadedPolicy } from "./policy-reload.ts";
import { realWorld } from "./real-world.ts";
import { openReceiptPlane, type ReceiptPlane } from "./receipt-plane.ts";
import type { LeftTask } from "./receipts/left-tasks.ts";
import { openStreamFolder, type StreamFolder } from "./receipts/stream-folder.ts";
import { refuseServerRequests } from "./server-requests.ts";
import { type ConnectedServers, closeServers, connectServers } from "./servers.ts";
import { type Controls, openControls } from "./stages.ts";
import { type GatewayStatus, statusOf } from "./status.ts";
import { tellingCatalog, tellingOffers } from "./telling-reloads.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { formatUuid } from "./uuid.ts";

/** A run that serves calls. */
export interface GatewayRun {
  readonly pipeline: Pipeline;
  readonly catalogReader: CatalogReader;
  readonly catalog: () => Catalog;
  /** Loads the bytes of a signed catalog; docs/gateway.md says what refuses one. */
  readonly reloadCatalog: (bytes: Uint8Array) => Promise<ReloadedCatalog>;
  /** Loads the body of `POST /policy`: another sealed artifact, with the bundle that it names. */
  readonly reloadPolicy: (body: Uint8Array) => Promise<ReloadedPolicy>;
  /** By server id. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Changes of what servers offer. */
  readonly changes: ChangeFeed;
  /** Changes of what decides. */
  readonly rules: RuleChanges;
  /** What each caller is offered. */
  readonly offers: Offers;
  /** Shows which ids of tasks were given to whom, also by a run before. */
  readonly tagTask: TagTask;
  /** Tasks that the run before left open. */
  readonly leftTasks: readonly LeftTask[];
  readonly limits: DecisionBasis["limits"];
  readonly switches: OperatorSwitches;
  readonly admissions: AdmissionDesk;
  readonly boundary: JsonObject;
  /** Forgets the labels of a principal and seals its sessions, so that its next call starts without any. */
  readonly resetLabels: (caller: Pick<Caller, "issuer" | "name">) => Promise<LabelReset>;
  readonly metrics: GatewayMetrics;
  readonly world: World;
  /** The log of what servers and agents do wrong; it says what it counted when the run is closed. */
  readonly paced: Logger;
  readonly status: () => GatewayStatus;
  /** Seals the sessions, brings the receipts to the ledger within a bound, lets go of everything. */
  readonly close: () => Promise<void>;
}

/** What a reset did: labels forgotten, sessions sealed. */
export type LabelReset = { readonly labels: number; readonly sealed: number };

/** A session is sealed so long before its declared limit that the seal is in time. */
const TTL_SHARE = 0.9;
const IDLE_MS = 30 * 60_000;
const PROVEN_MS = 5_000;
const REFUSALS_PER_WINDOW = 64;

/**
 * Opens a run.
 *
 * @throws {StoreError} ERR_FOLDER_LOCKED, ERR_SERVICE_START, ERR_STREAM_FILE
 * @throws {FormatError} ERR_CATALOG, ERR_POLICY_BUNDLE, ERR_SHAPE, ERR_JSON_*
 * @throws {CheckError} ERR_CATALOG_UNSIGNED, ERR_CATALOG_THRESHOLD, ERR_CATALOG_VERSION, ERR_CATALOG_PREVIOUS
 */
export async function openRun(options: GatewayOptions): Promise<GatewayRun> {
  const world = { ...realWorld(), ...options.world };
  const folder = await openStreamFolder(options.config.data_dir, world.randomBytes);
  let servers: ConnectedServers | undefined;
  let plane: ReceiptPlane | undefined;
  try {
    servers = await connectServers(options, world);
    const basis = await loadBasis(options, world, folder, servers);
    announce(options, basis.run.mode);
    const metrics = new GatewayMetrics();
    plane = await openReceiptPlane(options, world, folder, (body) => metrics.countReceipt(body));
    return await startRun({ options, world, folder, servers, basis, plane, metrics });
  } catch (error) {
    if (servers !== undefined) await closeServers(servers);
    await plane?.outbox.stop();
    await plane?.recorder.close();
    await folder.release();
    throw error;
  }
}

interface Parts {
  readonly options: GatewayOptions;
  readonly world: World;
  readonly folder: StreamFolder;
  readonly servers: ConnectedServers;
  readonly basis: DecisionBasis;
  readonly plane: ReceiptPlane;
  readonly metrics: GatewayMetrics;
}

async function startRun(parts: Parts): Promise<GatewayRun> {
  const { options, world, servers, basis, plane, metrics } = parts;
  const { recorder, opened, outbox } = plane;
  const declaration = declarationOf(options);
  const left = await openLeftTasks(parts);
  const opening = openingOf(parts, declaration, left?.calls);
  const { book } = opened;
  const { names } = basis.run;
  const rules = new RuleChanges();
  const switches = await openSwitches({ options, world, plane, book, names, artifact: basis.artifact, rules });
  const controls = await openControls(options, world, basis, switches);
  const changes = new ChangeFeed();
  const relister = relisterOf(parts, changes);
  const stages = withFreshListings(controls.stages, relister, basis.keeper, world.nowMs);
  const watch = sessionWatchOf(parts, rules);
  const { pipeline, desk, tally } = pipelineOf(parts, declaration, { ...controls, stages }, watch, left);
  const recovered = await writeOpening(opening);
  await writeSessionLoads(parts);
  if (recovered.calls + recovered.sessions > 0) options.logger.warn(recovered, "ended what the last run left open");
  await switches.start();
  outbox.start();
  for (const upstream of servers.upstreams) refuseServerRequests(upstream, pipeline, servers.paced);
  const carriedOut = carriedOutBy(controls.stages);
  const { upstreams } = servers;
  const sealed = makeSealedPolicy({ options, world, basis, recorder, upstreams, metrics, carriedOut, rules, watch });
  const stopJobs = startJobs(parts, { desk, tally, relister, sealed, switches }, declaration);
  const status = (): GatewayStatus => statusOf(parts, declaration.origin);
  metrics.watch(status);
  const reloadCatalog = makeCatalogReload({ config: options.config, basis, recorder });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeRun(parts, { pipeline, tally, left }, stopJobs);
    return closing;
  };
  return {
    pipeline,
    catalogReader: basis.keeper.reader,
    catalog: basis.keeper.current,
    reloadCatalog: tellingCatalog(reloadCatalog, { keeper: basis.keeper, changes, rules }),
    changes,
    rules,
    offers: basis.offers,
    tagTask: names.task,
    leftTasks: left?.tasks ?? [],
    reloadPolicy: tellingOffers(sealed.reload, basis, changes),
    upstreams: new Map(servers.upstreams.map((upstream) => [upstream.id, upstream])),
    limits: basis.limits,
    switches,
    admissions: makeAdmissionDesk({ ...plane, names, monotonicMs: world.monotonicMs }),
    boundary: basis.boundary,
    resetLabels: async (caller) => {
      const { id } = basis.run.names.principal(caller);
      const labels = await controls.forgetLabels(id);
      return { labels, sealed: await pipeline.sealPrincipal(id, "operator") };
    },
    metrics,
    world,
    paced: servers.paced,
    status,
    close,
  };
}

/** @param leftCalls  calls that this run goes on with */
function openingOf(
  { plane: { recorder, opened }, basis }: Parts,
  declaration: StreamDeclaration,
  leftCalls: ReadonlySet<string> = new Set(),
): Parameters<typeof writeOpening>[0] {
  const { run, approvers } = basis;
  const [bundle, catalog] = [basis.policyNow().bundle, basis.keeper.current()];
  return { recorder, opened, declaration, run, bundle, catalog, approvers, leftCalls };
}

function sessionWatchOf({ options, basis, plane }: Parts, rules: RuleChanges): SessionWatch {
  return new SessionWatch({
    sessions: basis.sessions,
    recorder: plane.recorder,
    names: basis.run.names,
    logger: options.logger,
    onChange: (concerns) => rules.tell(concerns),
  });
}

/** The receipts of the session artifacts of the start. */
async function writeSessionLoads({ basis, plane }: Parts): Promise<void> {
  const { files } = basis.policyNow().bundle;
  for (const one of basis.sessions.list()) {
    await plane.recorder.append(() => sessionLoadOf(basis.run, one, files));
  }
}

/** @throws {FormatError} ERR_POLICY_BUNDLE if the bundle asks for what no stage carries out; nothing is written yet */
function pipelineOf(
  { basis, plane, world: { nowMs, monotonicMs, randomBytes } }: Parts,
  declaration: StreamDeclaration,
  { stages, startLabels, onSealed }: Controls,
  watch: SessionWatch,
  left: LeftOfRun | undefined,
): { readonly pipeline: Pipeline; readonly desk: SessionDesk; readonly tally: RefusalTally } {
  const { recorder, opened, outbox } = plane;
  const { names } = basis.run;
  checkCarriedOut(basis.policyNow().bundle, carriedOutBy(stages));
  const ttlMs = declaration.sessionTtlSeconds * 1000 * TTL_SHARE;
  const desk = new SessionDesk({
    recorder,
    book: opened.book,
    names,
    nowMs,
    newId: () => formatUuid(randomBytes(16)),
    startLabels,
    onOpened: (id, caller, session) => watch.opened(id, caller, session),
    onSealed: (id) => {
      watch.sealed(id);
      onSealed(id);
    },
    ttlMs,
    idleMs: Math.min(IDLE_MS, ttlMs),
    limits: basis.limits,
  });
  const hasRoom = (): boolean => {
    try {
      outbox.requireRoom(1);
      return true;
    } catch {
      return false;
    }
  };
  const tally = new RefusalTally({ recorder, names, nowMs, hasRoom, perWindow: REFUSALS_PER_WINDOW });
  const pipeline = makePipeline({
    recorder,
    book: opened.book,
    outbox,
    run: basis.run,
    catalog: basis.keeper,
    basisOf: (call) => basis.sessions.basisOf(call),
    offeredTo: (call) => basis.offers.readerFor(call),
    left,
    desk,
    tally,
    stages,
    keepPayload: plane.payloads?.keep,
    nowMs,
    monotonicMs,
    newCallId: () => formatHex(randomBytes(16)),
  });
  return { pipeline, desk, tally };
}

function relisterOf({ options, world, servers, basis, plane }: Parts, changes: ChangeFeed): Relister {
  const { schedule, nowMs, monotonicMs, sleep } = world;
  const { relist_seconds, max_pin_age_seconds } = options.config;
  return startRelisting({
    keeper: basis.keeper,
    recorder: plane.recorder,
    run: basis.run,
    upstreams: servers.upstreams,
    everyMs: (relist_seconds ?? GATEWAY_DEFAULTS.relistSeconds) * 1000,
    maxAgeMs: (max_pin_age_seconds ?? GATEWAY_DEFAULTS.maxPinAgeSeconds) * 1000,
    schedule,
    sleep,
    monotonicMs,
    nowMs,
    onChanged: (serverId, lists) => changes.tell(serverId, lists),
    onFault: (fields, message) => options.logger.warn(fields, message),
  });
}

/** What runs by the clock. */
interface Jobs {
  readonly desk: SessionDesk;
  readonly tally: RefusalTally;
  readonly relister: Relister;
  readonly sealed: SealedPolicy;
  readonly switches: OperatorSwitches;
}

/** Starts what else runs by the clock. @returns the function that ends all of it */
function startJobs(
  { options, world, folder, plane }: Parts,
  { desk, tally, relister, sealed, switches }: Jobs,
  declaration: StreamDeclaration,
): () => Promise<void> {
  const { schedule } = world;
  const { recorder, opened, outbox } = plane;
  const onFault = (fields: object, message: string): void => options.logger.warn(fields, message);
  const stopTimekeeper = startTimekeeper({
    recorder,
    book: opened.book,
    desk,
    tally,
    heartbeatMs: declaration.heartbeatSeconds * 1000,
    sessionTtlMs: declaration.sessionTtlSeconds * 1000,
    schedule,
    onFault,
  });
  const stopProven = schedule(PROVEN_MS, () => {
    folder.setProven(recorder.stream, outbox.status().proven).catch(() => undefined);
  });
  const stopSealed = sealed.start();
  return async () => {
    stopProven();
    await switches.stop();
    await stopSealed();
    await relister.stop();
    await stopTimekeeper();
  };
}

function declarationOf({ config, software }: GatewayOptions): StreamDeclaration {
  return {
    origin: config.ledger.origin,
    keyProtection: "software",
    heartbeatSeconds: config.heartbeat_seconds ?? GATEWAY_DEFAULTS.heartbeatSeconds,
    sessionTtlSeconds: config.session_ttl_seconds ?? GATEWAY_DEFAULTS.sessionTtlSeconds,
    durability: config.durability ?? GATEWAY_DEFAULTS.durability,
    software,
  };
}

/** Said at every start, each on a line of its own. */
function announce({ config, logger }: GatewayOptions, mode: Mode): void {
  const isDefault = config.mode === undefined && config.artifact === undefined;
  if (mode === "enforcing") logger.info({ mode }, "enforcing: what policy or catalog denies is refused");
  else {
    const what = "what policy or catalog denies is forwarded and recorded; mode enforcing refuses it";
    logger.warn({ mode, isDefault }, `${mode}: ${what}`);
  }
  logger.warn({ key_protection: "software" }, "software keys: receipts say that no hardware protects what signs them");
}
