/** Where receipts go: the opened stream with its recorder and vault, and the outbox that brings them to the ledger. */

import { join } from "node:path";
import type { StoreError } from "../kernel/errors.ts";
import { parseHex } from "../kernel/hex.ts";
import { constant } from "../kernel/json/constant.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import type { AttestationField } from "../kernel/receipt/fields.ts";
import type { ReceiptBody } from "../kernel/receipt/receipt.ts";
import { signRegistration } from "../kernel/registration.ts";
import { formatSegment, makeSegment, type Segment, type SegmentBody } from "../kernel/segment.ts";
import { signEnvelope } from "../kernel/signature/envelope.ts";
import { formatTimestamp } from "../kernel/time.ts";
import { GATEWAY_DEFAULTS, type GatewayConfig } from "./config.ts";
import type { GatewayOptions, World } from "./options.ts";
import { checkInLog } from "./receipts/batch-proof.ts";
import { makeDelivery } from "./receipts/delivery.ts";
import type { DeliveryOrder } from "./receipts/delivery-messages.ts";
import { makeGroupCommit } from "./receipts/group-commit.ts";
import { type LedgerClient, makeLedgerClient } from "./receipts/ledger-client.ts";
import { type OpenedStream, openStream } from "./receipts/open-stream.ts";
import { makeOutbox, type Outbox } from "./receipts/outbox.ts";
import { PromiseBook } from "./receipts/promise-book.ts";
import { makeRecorder, type Recorder } from "./receipts/recorder.ts";
import { makeLocalSealer, ReceiptChain, type Sealer } from "./receipts/sealer.ts";
import { makeSealing } from "./receipts/sealing.ts";
import type { SealingOrder } from "./receipts/sealing-messages.ts";
import type { StreamFolder, StreamPlace } from "./receipts/stream-folder.ts";
import { openVault, type Vault } from "./receipts/vault.ts";
import type { WrittenReceipt } from "./receipts/written-receipt.ts";
import { openPayloadStore, type PayloadStore } from "./vault/payload-store.ts";

/** The receipt side of a run. */
export interface ReceiptPlane {
  /** The stream, without what it held: that is let go. */
  readonly opened: Pick<OpenedStream, "place" | "book">;
  readonly recorder: Recorder;
  readonly outbox: Outbox;
  readonly vault: Vault;
  /** Undefined if messages are not kept. */
  readonly payloads: PayloadStore | undefined;
}

/** A stream's file that is larger is followed by another one. */
const STREAM_FILE_BYTES = 64 * 1024 * 1024;

/** Software keys: no hardware speaks for them, and every receipt says so. */
const SOFTWARE: AttestationField = constant({ state: "not_available", reason: "attestation.software" });

/**
 * Opens the stream and makes what writes and sends it; the outbox is not started.
 *
 * @param onReceipt  told of every receipt when it gets its number
 * @throws {StoreError} ERR_STREAM_FILE
 */
export async function openReceiptPlane(
  options: GatewayOptions,
  world: World,
  folder: StreamFolder,
  onReceipt: (body: ReceiptBody) => void,
): Promise<ReceiptPlane> {
  const { config, logger } = options;
  const { ledger } = config;
  const client = makeLedgerClient({
    url: ledger.url,
    submitToken: options.secrets.submitToken,
    asksPromises: logKeysOf(options).length > 0,
    fetch: world.fetch,
  });
  const opened = await openStream({ folder, client, isDurable: isDurable(config) });
  const { place, book, tip } = opened;
  if (place.predecessor !== undefined && tip.nextSeq === 0) {
    logger.warn({ stream: place.stream, replaces: place.predecessor }, "a new stream replaces the one of the last run");
  }
  const vault = openVault(place.vaultFolder, world.randomBytes);
  await vault.prepare(tip.nextSeq);
  const sending = outboxOf(options, world, opened, client);
  const recorder = makeRecorder({
    stream: place.stream,
    nextSeq: tip.nextSeq,
    sealer: await sealerOf(options, world, opened, sending.onSealed),
    vault,
    receiptKey: place.receiptSigner.publicKey,
    instanceKey: place.instanceSigner.publicKey,
    attestation: SOFTWARE,
    nowMs: world.nowMs,
    files: {
      fileBytes: opened.fileBytes,
      maxBytes: options.streamFileBytes ?? STREAM_FILE_BYTES,
      state: (nextSeq) => book.state(nextSeq),
    },
    onPlaced: (body) => {
      book.apply(body);
      onReceipt(body);
    },
    onWritten: ({ seq, hash }) => {
      book.seal(seq, hash);
      sending.onWritten(seq);
    },
  });
  const { outbox } = sending;
  return { opened: { place, book }, recorder, outbox, vault, payloads: payloadsOf(options, world, place) };
}

function isDurable({ durability = GATEWAY_DEFAULTS.durability }: GatewayConfig): boolean {
  return durability === "durable";
}

/** A thread seals where there are threads; a log that is wrapped is what is written on this one. */
async function sealerOf(
  { config, logger, startThread }: GatewayOptions,
  { wrapLog }: World,
  { place, book, tip: { lastHash }, log, fileBytes }: OpenedStream,
  onWritten: (receipt: WrittenReceipt) => void,
): Promise<Sealer> {
  const onFailed = ({ code }: StoreError): void => logger.error({ code }, "the receipt stream failed; restart");
  if (startThread !== undefined) {
    await log.close();
    const { folder } = place;
    const order: SealingOrder = { folder, isDurable: isDurable(config), fileBytes, lastHash };
    const thread = startThread("sealing", order);
    const wrapped = wrapLog === undefined ? {} : { wrapLog };
    return makeSealing({ thread, folder, signers: place, openCalls: () => book.callCount, onFailed, ...wrapped });
  }
  const commit = makeGroupCommit(wrapLog?.(log) ?? log, onFailed);
  return makeLocalSealer({ chain: new ReceiptChain(place, lastHash), commit, onWritten });
}

function payloadsOf({ config, logger }: GatewayOptions, world: World, place: StreamPlace): PayloadStore | undefined {
  if (config.vault?.keep_payloads !== true) return undefined;
  return openPayloadStore({
    folder: join(place.folder, "payloads"),
    randomBytes: world.randomBytes,
    onLost: (error) => logger.warn({ err: error }, "messages are not kept any more; calls go on"),
  });
}

/** The outbox, and what tells it of receipts: it holds them, or the thread that does reads them from the files. */
interface Sending {
  readonly outbox: Outbox;
  readonly onSealed: (receipt: WrittenReceipt) => void;
  readonly onWritten: (seq: number) => void;
}

function outboxOf(options: GatewayOptions, world: World, opened: OpenedStream, client: LedgerClient): Sending {
  const { config, logger, startThread } = options;
  const { place, written, tip } = opened;
  const start = { seq: place.proven, hashBefore: written.find(({ seq }) => seq === place.proven - 1)?.hash };
  const common = {
    maxReceipts: config.outbox?.max_receipts ?? GATEWAY_DEFAULTS.maxReceipts,
    sleep: world.sleep,
    onFault: (fields: object, message: string) => logger.warn(fields, message),
  };
  const registration = (): Uint8Array => registrationOf(place, config.ledger.origin, world.nowMs());
  const promisesFolder = join(config.data_dir, "promises");
  if (startThread !== undefined) {
    const order = orderOf(options, place, { start, next: tip.nextSeq, promisesFolder });
    const delivery = makeDelivery({
      ...common,
      thread: startThread("delivery", order),
      next: tip.nextSeq,
      proven: start.seq,
      registration,
      signSegment: (body) => signOwnSegment(place, config.ledger.origin, body),
      onEnded: (error) => logger.error({ err: error }, "the delivery thread ended; restart"),
    });
    return { outbox: delivery, onSealed: () => undefined, onWritten: (seq) => delivery.addUpTo(seq) };
  }
  const outbox = makeOutbox({
    ...common,
    stream: place.stream,
    start,
    client,
    registration: async () => registration(),
    makeSegment: async (receipts, prev) => segmentOf(place, config.ledger.origin, receipts, prev),
    checkInLog: (admitted) => checkInLog(client, config.ledger.witness_policy, admitted),
    promises: new PromiseBook({ logKeys: logKeysOf(options), nowMs: world.nowMs, folder: promisesFolder }),
    random: world.random,
  });
  for (const receipt of written) if (receipt.seq >= start.seq) outbox.add(receipt);
  return { outbox, onSealed: (receipt) => outbox.add(receipt), onWritten: () => undefined };
}

function orderOf(
  options: GatewayOptions,
  { stream, folder }: StreamPlace,
  begin: Pick<DeliveryOrder, "start" | "next" | "promisesFolder">,
): DeliveryOrder {
  const { url, origin, witness_policy: policy } = options.config.ledger;
  const ledger = { url, origin, submitToken: options.secrets.submitToken };
  return { ...begin, stream, folder, ledger, policy, logKeys: logKeysOf(options) };
}

function registrationOf(place: StreamPlace, origin: string, nowMs: number): Uint8Array {
  const body = { kind: "registration", v: 1, origin, evidence: { type: "software" } } as const;
  return signRegistration({ ...body, time: formatTimestamp(nowMs) }, place.instanceSigner, place.receiptSigner);
}

/** The thread that asks has the network: the key signs nothing for it but segments of our own stream. */
function signOwnSegment(place: StreamPlace, origin: string, body: SegmentBody): Segment {
  const { first_seq, count, prev, last, root } = body;
  const before = prev === undefined ? {} : { prev };
  const own = { kind: "segment", v: 1, origin, stream: place.stream, first_seq, count, ...before, last, root } as const;
  return signEnvelope(own, [place.receiptSigner]);
}

/** The log's keys that sign promises; without one in the policy none are asked for. */
function logKeysOf({ config: { ledger } }: GatewayOptions): readonly VerifierKey[] {
  const keys = ledger.witness_policy.logs.map(({ key }) => key);
  return keys.filter(({ type, name }) => type === 0x01 && name === ledger.origin);
}

function segmentOf(
  place: StreamPlace,
  origin: string,
  receipts: readonly WrittenReceipt[],
  prev: string | undefined,
): Uint8Array {
  const bytes = receipts.map((receipt) => receipt.bytes);
  const parts = { origin, stream: place.stream, firstSeq: receipts[0]?.seq ?? 0, receipts: bytes };
  const before = prev === undefined ? {} : { prev: parseHex(prev, 32) };
  return formatSegment(makeSegment({ ...parts, ...before }, place.receiptSigner), bytes);
}
