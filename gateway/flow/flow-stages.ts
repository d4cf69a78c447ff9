/**
 * The stages of data flow (mcp-gateway §18): before a call, which labels its session holds and which values of earlier
 * results its arguments repeat; after it, what its answer brings. Both moments change the session in the turn of their
 * receipt, so a fast next call is decided on what the agent has been given by then.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { constant } from "../../kernel/json/constant.ts";
import { formatPointer } from "../../kernel/json/pointer.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { Hex64, Label } from "../../kernel/receipt/fields.ts";
import type { Edge, ValueMatches } from "../../kernel/receipt/inspection.ts";
import { ABSENT, present } from "../../kernel/receipt/observed.ts";
import type { MatchKind } from "../../kernel/receipt/vocabulary.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { type DataClass, dataClassOf } from "../catalog/data-class.ts";
import { declaredPointer } from "../catalog/declared-pointer.ts";
import { definitionValue } from "../catalog/definition-value.ts";
import { type InboundCall, toolBehind } from "../pipeline/call.ts";
import { carriedOut } from "../pipeline/judge.ts";
import type { KeyedNames } from "../pipeline/keyed-names.ts";
import type { LiveSession } from "../pipeline/session-desk.ts";
import type {
  CallTurn,
  Contribution,
  EarlyStage,
  EndedCall,
  EndedStep,
  ObligationStage,
  RequestStage,
  RespondStage,
} from "../pipeline/stage.ts";
import { messageValue } from "../wire/message-value.ts";
import { isSent, saidInMeta, saidInParams } from "../wire/said-beside.ts";
import { type Leaf, leavesOf, MAX_LEAVES, valuesGiven } from "./leaves.ts";
import type { PrincipalLabels } from "./principal-labels.ts";
import { labelsOf, SessionFlow, type Standing } from "./session-flow.ts";
import type { Match } from "./value-memory.ts";

/** What the stages work with. */
export interface FlowOptions {
  readonly catalog: () => Catalog;
  readonly names: KeyedNames;
  readonly principals: PrincipalLabels;
  readonly randomBytes: (length: number) => Uint8Array;
}

/** Most matches, edges and subjects of one receipt (kernel/receipt). */
const MAX_ITEMS = 64;
const MAX_SUBJECTS = 32;
const STRENGTH: readonly MatchKind[] = ["exact", "token", "encoded", "fragment"];

/** The flows of all open sessions, and the stages that keep them. */
export class FlowStages {
  readonly #options: FlowOptions;
  readonly #sessions = new Map<string, SessionFlow>();
  readonly request: RequestStage;
  readonly obligation: ObligationStage;
  readonly respond: RespondStage;
  readonly early: EarlyStage;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.request = { name: "flow", begin: (call, session) => this.#begin(call, session) };
    this.obligation = {
      name: "taint",
      carriesOut: ["taint"],
      settle: (_turn, answer, before) =>
        answer.taint.length === 0 ? before : { ...before, judged: carriedOut(before.judged, "taint") },
    };
    this.respond = { name: "flow", carriesOut: CARRIED_OUT, settle: (ended) => this.#end(ended) };
    this.early = { name: "flow", bring: (call) => this.#bring(call) };
  }

  /** Lets go of a sealed session. */
  forget(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  #flowOf({ place, start }: LiveSession): SessionFlow {
    const known = this.#sessions.get(place.id);
    if (known !== undefined) return known;
    const flow = new SessionFlow(start.labels, start.seq, this.#options.randomBytes(32));
    this.#sessions.set(place.id, flow);
    return flow;
  }

  #classOf(call: InboundCall): DataClass {
    return dataClassOf(this.#options.catalog().entry(call.serverId)?.data, toolBehind(call));
  }

  #begin(call: InboundCall, session: LiveSession): (turn: CallTurn) => Contribution {
    const flow = this.#flowOf(session);
    const leaves = leavesOfCall(call);
    const searched = flow.memory.prepare(leaves);
    const data = this.#classOf(call);
    return (turn) => {
      const matches = flow.memory.search(searched);
      const { session, taint } = flow.standing();
      return {
        session: matches.length === 0 ? session : { ...session, matches: serversOf(flow, matches) },
        system: { domain: data.domain ?? "", sensitivity: data.sensitivity ?? 0 },
        fields: {
          taint,
          matches:
            matches.length === 0
              ? unmatched(flow.memory.bounded)
              : present(reported(turn, matches, flow.memory.bounded)),
          edges: presentList(edgesTo(flow, data, matches)),
          data_subjects: presentList(this.#subjectsOf(data, leaves)),
        },
      };
    };
  }

  /** Keyed hashes of the values at the declared places, sorted. */
  #subjectsOf({ subjects = [] }: DataClass, leaves: readonly Leaf[]): readonly Hex64[] {
    if (subjects.length === 0) return [];
    const named = leaves.filter(({ path }) => subjects.includes(formatPointer(path)));
    const hashes = named.map(({ text }) => this.#options.names.dataSubject(text));
    return [...new Set(hashes)].sort().slice(0, MAX_SUBJECTS);
  }

  /**
   * Labels come with the first that the agent is given, if the answer is not there yet: in this turn, under the number of the call's
   * decision, since there is no outcome. They stay, whatever the answer will be.
   */
  #bring({ call, open, labels }: Omit<EndedCall, "outcome">): Promise<void> | undefined {
    const { names, principals } = this.#options;
    const data = this.#classOf(call);
    const brought = withLabels(labelsOf(data), labels);
    if (brought.length === 0) return undefined;
    const { seq } = open.decision;
    this.#openFlow(open)?.take(brought, { seq, serverId: call.serverId, domain: data.domain });
    return principals.note(names.principal(call.caller).id, brought);
  }

  #openFlow({ decision: { session } }: EndedCall["open"]): SessionFlow | undefined {
    return session.state === "present" ? this.#sessions.get(session.value.id) : undefined;
  }

  #end({ call, open, outcome, labels }: EndedCall): EndedStep | Promise<EndedStep> {
    const { names, principals } = this.#options;
    // Of an answer that nobody here saw, the agent has what the server's answers bring.
    const isUnseen = outcome.unseen !== undefined && outcome.status !== "blocked";
    const isGiven =
      isUnseen || outcome.isPartlyGiven === true || (outcome.returned !== undefined && GIVEN.has(outcome.status));
    const data = this.#classOf(call);
    const brought = isGiven ? withLabels(labelsOf(data), labels) : NO_LABELS;
    const flow = this.#openFlow(open);
    const step = (): EndedStep => stepOf(call, outcome, flow, { isGiven, brought, domain: data.domain });
    if (brought.length === 0) return step();
    return principals.note(names.principal(call.caller).id, brought).then(step);
  }
}

/** What an answer brings. */
interface Given {
  /** True if the agent is given something of it. */
  readonly isGiven: boolean;
  readonly brought: readonly Label[];
  readonly domain: Label | undefined;
}

function stepOf(
  call: InboundCall,
  outcome: EndedCall["outcome"],
  flow: SessionFlow | undefined,
  { isGiven, brought, domain }: Given,
): EndedStep {
  if (flow === undefined) return { outcome, carriedOut: CARRIED_OUT };
  // What answers a question is the agent's own word.
  const isOwn = QUESTIONS.has(call.target.kind);
  const hasValues = isGiven && outcome.isPartlyGiven !== true && !isOwn;
  const texts = hasValues ? givenTexts(outcome.returned) : NO_TEXTS;
  const answered = flow.memory.prepare(isOwn && isGiven ? answerLeaves(outcome.received) : NO_LEAVES);
  return {
    outcome,
    carriedOut: CARRIED_OUT,
    look: ({ seq }) => {
      const before = flow.standing();
      if (isGiven) {
        flow.take(brought, { seq, serverId: call.serverId, domain });
        flow.memory.keepTexts(texts, seq);
      }
      const taint = taintBetween(before, flow.standing());
      if (!isOwn) return { taint, matches: ABSENT, edges: ABSENT };
      const matches = flow.memory.search(answered);
      const { bounded } = flow.memory;
      const field = matches.length === 0 ? unmatched(bounded) : present(reportedAnswers(matches, bounded));
      return { taint, matches: field, edges: ABSENT };
    },
  };
}

const CARRIED_OUT: NonNullable<EndedStep["carriedOut"]> = ["taint"];
const NO_LABELS: readonly Label[] = [];
const NO_TEXTS: readonly string[] = [];
const NO_LEAVES: readonly Leaf[] = [];

/** @param own  each once */
function withLabels(own: readonly Label[], labels: readonly Label[]): readonly Label[] {
  return labels.length === 0 ? own : [...new Set([...own, ...labels])];
}

function taintBetween(before: Standing, after: Standing): Standing["taint"] {
  if (before === after) return after.taint;
  return present({ ...after.taint.value, before: before.labels });
}

/** Most lists of a receipt are empty. */
const EMPTY: { readonly state: "present"; readonly value: readonly never[] } = constant(present([]));
const NO_MATCHES: { readonly state: "present"; readonly value: ValueMatches } = constant(
  present({ items: [], bounded: false }),
);

function presentList<T>(items: readonly T[]): { readonly state: "present"; readonly value: readonly T[] } {
  return items.length === 0 ? EMPTY : present(items);
}

function unmatched(bounded: boolean): { readonly state: "present"; readonly value: ValueMatches } {
  return bounded ? present({ items: [], bounded }) : NO_MATCHES;
}

/** Ends of a call in which the agent is given something of the server's. */
const GIVEN: ReadonlySet<string> = new Set([
  "ok",
  "tool_error",
  "rpc_error",
  "input_required",
  "task_created",
  "task_completed",
  "task_failed",
  "redacted",
]);

/** In front of the path of a value in an answer to a server's question; no name of an argument, since it begins with NUL. */
const ANSWERS = "\0inputResponses";

/** And of one that stands in params or `_meta` beside what the method is about. */
const BESIDE = "\0beside";

/** The values that leave for the server: arguments, answers to what it asked in the round before, and what is said beside them. */
function leavesOfCall(call: InboundCall): readonly Leaf[] {
  const given = leavesOf(argumentOf(call));
  const { inputResponses, _meta: meta } = call.params;
  const params = saidInParams(call, isByUri(call) ? READ_BY_URI : READ);
  const said = isSent(call) ? saidInMeta(meta) : undefined;
  if (inputResponses === undefined && params === undefined && said === undefined) return given;
  const others = [
    ...leavesUnder(ANSWERS, inputResponses),
    ...leavesUnder(BESIDE, params),
    ...leavesUnder(BESIDE, said),
  ];
  return [...given, ...others].slice(0, MAX_LEAVES);
}

function leavesUnder(mark: string, value: JsonValue | undefined): readonly Leaf[] {
  return value === undefined ? [] : leavesOf(value).map(({ path, text }) => ({ path: [mark, ...path], text }));
}

const READ: ReadonlySet<string> = new Set(["arguments", "inputResponses"]);
const READ_BY_URI: ReadonlySet<string> = new Set(["uri", "inputResponses"]);

function isByUri({ target: { kind } }: InboundCall): boolean {
  return kind === "resource" || kind === "completion" || kind === "subscribe";
}

/** What a server asks of an agent. */
const QUESTIONS: ReadonlySet<InboundCall["target"]["kind"]> = new Set(["sample", "elicit", "roots"]);

function argumentOf(call: InboundCall): JsonValue {
  return isByUri(call) ? { uri: call.target.name } : (call.params["arguments"] ?? {});
}

function givenTexts(bytes: Uint8Array | undefined): readonly string[] {
  if (bytes === undefined) return [];
  try {
    const { value: response } = messageValue(bytes);
    return isJsonObject(response) ? valuesGiven(response) : [];
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}

function serversOf(flow: SessionFlow, matches: readonly Match[]): string[] {
  const servers = matches.flatMap(({ source }) => flow.source(source)?.serverId ?? []);
  return [...new Set(servers)].sort();
}

/** Matches by source, declared place and kind; of several kinds for one source and place the strongest. */
function reported({ finding }: CallTurn, matches: readonly Match[], bounded: boolean): ValueMatches {
  const schema = finding.definition === undefined ? undefined : definitionValue(finding.definition.text)["inputSchema"];
  const rows = new Map<string, { source: number; pointer: string; kind: MatchKind; count: number }>();
  for (const { source, path, kind } of matches) {
    const pointer = fixedPointer(path[0]) ?? declaredPointer(["params", "arguments"], schema, path);
    const row = rows.get(`${source} ${pointer}`) ?? { source, pointer, kind, count: 0 };
    const isStronger = STRENGTH.indexOf(kind) < STRENGTH.indexOf(row.kind);
    rows.set(`${source} ${pointer}`, { ...row, kind: isStronger ? kind : row.kind, count: row.count + 1 });
  }
  const items = [...rows.values()].sort((a, b) => a.source - b.source || (a.pointer < b.pointer ? -1 : 1));
  return { items: items.slice(0, MAX_ITEMS), bounded: bounded || items.length > MAX_ITEMS };
}

/** Of what is under no schema. */
function fixedPointer(mark: string | undefined): string | undefined {
  if (mark === ANSWERS) return "/params/inputResponses/*";
  return mark === BESIDE ? "/params/*" : undefined;
}

/** In an agent's answer to a question: under no schema, so all at one place. */
function reportedAnswers(matches: readonly Match[], bounded: boolean): ValueMatches {
  const rows = new Map<number, { source: number; pointer: string; kind: MatchKind; count: number }>();
  for (const { source, kind } of matches) {
    const row = rows.get(source) ?? { source, pointer: "/result/*", kind, count: 0 };
    const isStronger = STRENGTH.indexOf(kind) < STRENGTH.indexOf(row.kind);
    rows.set(source, { ...row, kind: isStronger ? kind : row.kind, count: row.count + 1 });
  }
  const items = [...rows.values()].sort((a, b) => a.source - b.source);
  return { items: items.slice(0, MAX_ITEMS), bounded: bounded || items.length > MAX_ITEMS };
}

function answerLeaves(bytes: Uint8Array | undefined): readonly Leaf[] {
  if (bytes === undefined) return [];
  try {
    const { value: response } = messageValue(bytes);
    const result = isJsonObject(response) ? response["result"] : undefined;
    return result === undefined ? [] : leavesOf(result);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}

/** Edges across domains: from the first outcome of each other domain, and from each whose value is repeated. */
function edgesTo(flow: SessionFlow, { domain }: DataClass, matches: readonly Match[]): readonly Edge[] {
  if (domain === undefined) return [];
  const matched = [...new Set(matches.map(({ source }) => source))].flatMap((seq) => flow.source(seq) ?? []);
  const edges = [
    ...matched.map((source) => ({ source, kind: "match" as const })),
    ...flow.firstOfDomains().map((source) => ({ source, kind: "order" as const })),
  ].flatMap(({ source, kind }): Edge[] => {
    const from: Label | undefined = source.domain;
    return from === undefined || from === domain ? [] : [{ source: source.seq, kind, from, to: domain }];
  });
  return edges.slice(0, MAX_ITEMS);
}
