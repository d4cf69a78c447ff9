/** The controls of a run, in the order in which they look at a call. A control that is not listed here controls nothing. */

import type { MandateChain } from "../kernel/mandate/mandate-chain.ts";
import type { SealedWorkflow } from "../kernel/policy-artifact.ts";
import type { Label } from "../kernel/receipt/fields.ts";
import type { SessionSource } from "../kernel/receipt/vocabulary.ts";
import { safeStateGate, scopeStage, sessionGate } from "./artifact/artifact-stages.ts";
import type { OperatorSwitches } from "./controls/switches.ts";
import type { DecisionBasis } from "./decision-basis.ts";
import { FlowStages } from "./flow/flow-stages.ts";
import { PrincipalLabels } from "./flow/principal-labels.ts";
import { makeClaimsStage } from "./identity/claims-stage.ts";
import { credentialGate } from "./identity/credential-gate.ts";
import { makeMandateStage } from "./identity/mandate-stage.ts";
import { leewayMsOf } from "./identity/oauth-config.ts";
import { workflowRules } from "./identity/workflow-rules.ts";
import { makeWorkflowStage } from "./identity/workflow-stage.ts";
import { elicitedPages } from "./inspection/elicited-pages.ts";
import { InspectionStages } from "./inspection/inspection-stages.ts";
import { makeCallLimiter } from "./limits/call-limiter.ts";
import type { GatewayOptions, World } from "./options.ts";
import type { Caller, SessionKey } from "./pipeline/call.ts";
import type { Stages } from "./pipeline/stage.ts";

/** The controls, and what else of a run they have a hand in. */
export interface Controls {
  readonly stages: Stages;
  /** Labels that a session starts with. */
  readonly startLabels: (caller: Caller, session: SessionKey) => readonly Label[];
  readonly onSealed: (sessionId: string) => void;
  /** Forgets the labels of a principal, named by its keyed id. @returns how many there were */
  readonly forgetLabels: (principal: string) => Promise<number>;
}

/** Sessions that do not begin at the agent's wish: they start without labels. */
const FRESH: ReadonlySet<SessionSource> = new Set(["workflow-token", "token-claim"]);

/**
 * Makes the controls that the configuration asks for.
 *
 * @throws {StoreError} ERR_FILE_READ
 */
export async function openControls(
  { config, readFile, logger, wrapStages = (own) => own }: GatewayOptions,
  world: World,
  { keeper, run, policyNow, artifact, sessions, limits }: DecisionBasis,
  { killSwitch, quarantine, approvals, mandates: register }: OperatorSwitches,
): Promise<Controls> {
  const principals = await PrincipalLabels.open(config.data_dir, world.nowMs);
  const flow = new FlowStages({
    catalog: keeper.current,
    names: run.names,
    principals,
    randomBytes: world.randomBytes,
  });
  const { mandates, workflows, identity_claims: claims } = config.auth;
  const sealed = (): readonly SealedWorkflow[] | undefined => artifact.current()?.artifact.workflows;
  const workflowDeps = { readFile, fetch: world.fetch, nowMs: world.nowMs, logger, sealed };
  const rules =
    mandates === undefined || register === undefined
      ? undefined
      : {
          roots: () => register.roots,
          isRevoked: (chain: MandateChain) => register.isRevoked(chain),
          isRequired: mandates.required === true,
        };
  const inspection = new InspectionStages({
    catalog: keeper.current,
    mode: (call) => (call === undefined ? run : sessions.basisOf(call).run).mode,
    ownRules: (text) => policyNow().bundle.ownRules(text),
    phoneRegion: config.inspection?.phone_region,
    modes: config.inspection?.streams ?? {},
    hasRespond: (action, call) => sessions.basisOf(call).evaluator.hasAction(action),
  });
  const pages = elicitedPages(
    new Map(config.servers.map(({ id, elicitation_hosts: hosts = [] }) => [id, hosts])),
    () => run.mode,
  );
  const credential = credentialGate(world.nowMs, leewayMsOf(config.auth.oauth));
  const limiter = makeCallLimiter({ limits, monotonicMs: world.monotonicMs });
  return {
    stages: wrapStages({
      gates: [credential, safeStateGate(artifact), sessionGate(sessions), killSwitch.gate, limiter.gate],
      request: [
        makeClaimsStage(run.names, claims),
        makeMandateStage(run.names, rules),
        scopeStage(artifact, sessions),
        makeWorkflowStage(workflows === undefined ? undefined : workflowRules(workflows, workflowDeps)),
        flow.request,
        inspection.request,
        pages.request,
      ],
      obligations: [
        approvals.obligation,
        flow.obligation,
        quarantine.obligation,
        inspection.obligation,
        limiter.obligation,
      ],
      response: [limiter.response, quarantine.response, inspection.response],
      respond: [inspection.respond, pages.respond, flow.respond],
      stream: inspection.stream,
      early: flow.early,
    }),
    startLabels: (caller, { source }) => (FRESH.has(source) ? [] : principals.of(run.names.principal(caller).id)),
    onSealed: (sessionId) => {
      flow.forget(sessionId);
      quarantine.forget(sessionId);
    },
    forgetLabels: (principal) => principals.forget(principal),
  };
}
