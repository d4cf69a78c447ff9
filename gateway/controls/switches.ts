/** What operators can move while a gateway runs, opened from its data folder before anything is decided. */

import { ApprovalDesk } from "../approval/approval-desk.ts";
import { eventOf, pageOf } from "../approval/approval-event.ts";
import { ApprovalStore } from "../approval/approval-store.ts";
import { Webhook } from "../approval/webhook.ts";
import type { ArtifactInForce } from "../artifact/artifact-in-force.ts";
import type { RuleChanges } from "../edge/rule-changes.ts";
import { MandateRegister } from "../identity/mandate-register.ts";
import type { GatewayOptions, World } from "../options.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import { Quarantine } from "../quarantine/quarantine.ts";
import type { ReceiptPlane } from "../receipt-plane.ts";
import type { StreamBook } from "../receipts/stream-book.ts";
import { VaultDesk } from "../vault/vault-desk.ts";
import { ControlList } from "./control-list.ts";
import { type ControlTarget, parseTarget, targetsOf } from "./control-target.ts";
import { KillSwitch } from "./kill-switch.ts";
import { ActionBook } from "./operator.ts";

/** The controls of a run. */
export interface OperatorSwitches {
  readonly killSwitch: KillSwitch;
  readonly quarantine: Quarantine;
  readonly approvals: ApprovalDesk;
  readonly vault: VaultDesk;
  /** Undefined if nobody's mandates are taken. */
  readonly mandates: MandateRegister | undefined;
  /** Begins what runs by the clock, once the stream is open. @throws {StoreError} ERR_CONTROL_FILE */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** The target that an operator's text names. @throws {FormatError} ERR_CONTROL_TARGET */
  readonly parseTarget: (text: string) => ControlTarget;
}

/** What the controls work with. */
export interface SwitchParts {
  readonly options: Pick<GatewayOptions, "agents" | "config" | "logger" | "secrets" | "readFile">;
  readonly world: Pick<World, "nowMs" | "sleep" | "random" | "randomBytes" | "schedule" | "fetch">;
  readonly plane: Pick<ReceiptPlane, "recorder" | "vault" | "payloads">;
  readonly book: StreamBook;
  readonly names: KeyedNames;
  readonly artifact: ArtifactInForce;
  /** Told of targets that are stopped or put in quarantine. */
  readonly rules: RuleChanges;
}

/** @throws {StoreError} ERR_CONTROL_FILE: a file of theirs is there and cannot be read */
export async function openSwitches({
  options,
  world,
  plane,
  book,
  names,
  artifact,
  rules,
}: SwitchParts): Promise<OperatorSwitches> {
  const { data_dir: folder } = options.config;
  const { nowMs } = world;
  const { recorder } = plane;
  const actions = new ActionBook(recorder, names);
  const onTarget = (target: ControlTarget): void => rules.tell((call) => targetsOf(call, names).includes(target));
  const killSwitch = new KillSwitch({
    onTarget,
    list: await ControlList.open(folder, "kill-switch.json"),
    actions,
    names,
    nowMs,
  });
  const quarantine = new Quarantine({
    onTarget,
    config: options.config.quarantine,
    list: await ControlList.open(folder, "quarantine.json"),
    actions,
    names,
    sealed: () => artifact.current()?.artifact,
    world,
    onFault: (error) =>
      options.logger.error({ err: error }, "a quarantine holds, and is not durable or has no receipt"),
  });
  const webhook = webhookOf(options, world);
  const approvals = await approvalsOf({ options, world, book, names }, actions, webhook);
  const vault = new VaultDesk({
    ...plane,
    dataDir: folder,
    actions,
    nowMs,
    dataSubject: names.dataSubject,
    eraseAfterDays: options.config.vault?.erase_after_days,
    schedule: world.schedule,
    onFault: (fields, message) => options.logger.warn(fields, message),
  });
  const sessionKey = (id: string): string | undefined => book.session(id)?.open.session.key;
  const mandates = await registerOf({ options, world, rules }, actions, approvals);
  let stopSweep = (): void => undefined;
  let stopMandates = (): void => undefined;
  const start = async (): Promise<void> => {
    await vault.start();
    stopSweep = approvals.start();
    stopMandates = (await mandates?.start()) ?? stopMandates;
  };
  const stop = async (): Promise<void> => {
    stopSweep();
    stopMandates();
    await webhook?.close();
    await vault.stop();
  };
  return {
    killSwitch,
    quarantine,
    approvals,
    vault,
    mandates,
    start,
    stop,
    parseTarget: (text) => parseTarget(text, { names, sessionKey }),
  };
}

/** @throws {StoreError} ERR_CONTROL_FILE */
async function approvalsOf(
  { options, world, book, names }: Pick<SwitchParts, "options" | "world" | "book" | "names">,
  actions: ActionBook,
  webhook: Webhook | undefined,
): Promise<ApprovalDesk> {
  const page = pageOf(options.config);
  return new ApprovalDesk({
    store: await ApprovalStore.open(options.config.data_dir),
    actions,
    names,
    policy: () => book.policy ?? "",
    world,
    page,
    // On standard input and output nobody serves a page.
    isServed: options.agents === "http",
    hasWebhook: webhook !== undefined,
    onEvent: (approval) => webhook?.tell(eventOf(approval, page, world.nowMs())),
    onFault: (error) => options.logger.error({ err: error }, "an approval could not be kept"),
  });
}

/** What is taken back ends the approvals of calls that rested on it, and what listens is decided anew. */
async function registerOf(
  { options, world, rules }: Pick<SwitchParts, "options" | "world" | "rules">,
  actions: ActionBook,
  approvals: ApprovalDesk,
): Promise<MandateRegister | undefined> {
  const { config, readFile, logger } = options;
  const { mandates } = config.auth;
  if (mandates === undefined) return undefined;
  const register = await MandateRegister.open({
    config: mandates,
    dataDir: config.data_dir,
    readFile,
    actions,
    world,
    onChange: () => {
      approvals.revoke((links) => register.isRevoked({ links }));
      rules.tell();
    },
    onFault: (fields, message) => logger.error(fields, message),
  });
  return register;
}

function webhookOf(
  { config, secrets, logger }: SwitchParts["options"],
  world: SwitchParts["world"],
): Webhook | undefined {
  const { webhook } = config.approvals ?? {};
  if (webhook === undefined || secrets.webhookSecret === undefined) return undefined;
  return new Webhook({
    url: webhook.url,
    secret: secrets.webhookSecret,
    world,
    onLost: (fields) => logger.error(fields, "the approvals' webhook did not take an event"),
  });
}
