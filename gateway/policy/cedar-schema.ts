/**
 * The typed Cedar schema of a catalog: one action a tool, its arguments typed from the pinned input schema. A definition
 * that cannot be typed degrades alone: its `context.input` is empty and `context.system.schemaStatus` is `opaque`.
 */

import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CedarValueJson, SchemaJson } from "./cedar.ts";
import { cutContext, pick, type WantedContext, WHOLE_CONTEXT } from "./context-use.ts";
import type { CedarType } from "./value-mapping.ts";
import { compileMapping, OpaqueSchema, startCompilation, type ValueMapping } from "./value-mapping.ts";

/** Action groups; every action is in exactly one, and, unless it is about a result or a listing, in the group of its server. */
export type ActionGroup = "call_tool" | "respond" | "get_prompt" | "offer" | ServerGroup;

/** Groups with one action a server. */
type ServerGroup =
  | "read_resource"
  | "complete"
  | "subscribe"
  | "task"
  | "sample"
  | "elicit"
  | "roots"
  | "list"
  | "extension";

/** One action that policies decide about. */
export interface PolicyAction {
  /**
   * `<serverId>/<tool>`, `respond:<serverId>/<tool>`, `prompt:<serverId>/<name>`, `<word>:<serverId>` for what every server has, and
   * `offer:` in front of what names a tool, a prompt, or the resources of a server (`offer:read:<serverId>`).
   */
  readonly id: string;
  readonly group: ActionGroup;
  readonly serverId: string;
  /** Undefined if nothing of the arguments can be typed. */
  readonly input: ValueMapping | undefined;
  /** Of the structured result, for actions of the group `respond`; undefined if nothing of it can be typed. */
  readonly output?: ValueMapping;
  /** True if some argument (of a result: some member) cannot be typed: policy sees `schemaStatus` `opaque`. */
  readonly isOpaque: boolean;
}

/** What the schema is made from. */
export interface SchemaSource {
  readonly serverId: string;
  /** Attributes of the server that policies may read: strings, booleans, safe integers, arrays of strings. */
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly tools: readonly ToolSchemas[];
  readonly prompts: readonly { readonly name: string; readonly argumentNames: readonly string[] }[];
}

/** The schemas of one approved tool. */
export interface ToolSchemas {
  readonly name: string;
  readonly inputSchema: JsonValue | undefined;
  readonly outputSchema?: JsonValue | undefined;
}

/** Namespace of every type and action. */
export const NAMESPACE = "Mcp";

const GROUPS: readonly ActionGroup[] = [
  "call_tool",
  "respond",
  "get_prompt",
  "read_resource",
  "complete",
  "subscribe",
  "task",
  "sample",
  "elicit",
  "roots",
  "list",
  "offer",
  "extension",
];

/** Who asks: a program by its own credential, a person, whoever started `countersign wrap`. */
export const PRINCIPAL_TYPES = ["Agent", "User", "LocalUser"] as const;
export type PrincipalType = (typeof PRINCIPAL_TYPES)[number];

/** What principals are in, by verified claims or configuration. */
export const PARENT_TYPES = ["Group", "Role", "Workflow"] as const;
export type ParentType = (typeof PARENT_TYPES)[number];

const STRING: CedarType = { type: "String" };
const LONG: CedarType = { type: "Long" };
const BOOLEAN: CedarType = { type: "Boolean" };
const STRINGS: CedarType = { type: "Set", element: STRING };
const DATETIME: CedarType = { type: "EntityOrCommon", name: "datetime" };

/** Attributes of principals: as whom the credential names them, and what checking it found. */
const PRINCIPAL: CedarType & { type: "Record" } = recordOf({
  issuer: STRING,
  name: STRING,
  provenance: STRING,
  outcome: STRING,
});

/** `context.session`: what is known of the session. */
const SESSION_MEMBERS: Readonly<Record<string, CedarType>> = {
  trust: STRING,
  source: STRING,
  calls: LONG,
  taint: STRINGS,
  domains: STRINGS,
  sensitivity: LONG,
  servers: STRINGS,
  matches: STRINGS,
  ageSeconds: LONG,
};

const SESSION: CedarType = recordOf(SESSION_MEMBERS);

const SYSTEM_MEMBERS: Readonly<Record<string, CedarType>> = {
  now: DATETIME,
  mode: STRING,
  workflow: STRING,
  actor: STRING,
  actors: STRINGS,
  subject: STRING,
  era: STRING,
  catalog: STRING,
  toolModel: STRING,
  definition: STRING,
  pinAge: LONG,
  schemaStatus: STRING,
  undeclared: STRINGS,
  truncated: STRINGS,
  inexact: BOOLEAN,
  findings: STRINGS,
  argumentBytes: LONG,
  domain: STRING,
  sensitivity: LONG,
  round: LONG,
};

/** `context.system`: facts of the gateway. */
const SYSTEM: CedarType = recordOf(SYSTEM_MEMBERS);

/** `context.system` of a result: how the server answered, whether with structured content, and how much. */
const RESULT_SYSTEM: CedarType = recordOf({
  ...SYSTEM_MEMBERS,
  result: STRING,
  structured: BOOLEAN,
  resultBytes: LONG,
  items: LONG,
});

/** The actions of a catalog, by id. */
export function listActions(sources: readonly SchemaSource[]): ReadonlyMap<string, PolicyAction> {
  const actions = sources.flatMap(({ serverId, tools, prompts }): PolicyAction[] => [
    ...tools.flatMap((tool) => toolActions(serverId, tool)),
    ...prompts.map(({ name, argumentNames }): PolicyAction => {
      const properties = Object.fromEntries(argumentNames.map((argument) => [argument, { type: "string" }]));
      return {
        id: `prompt:${serverId}/${name}`,
        group: "get_prompt",
        serverId,
        ...typeInput({ type: "object", properties }),
      };
    }),
    ...tools.map(({ name }) => offerAction(serverId, `${serverId}/${name}`, NO_INPUT)),
    ...prompts.map(({ name }) => offerAction(serverId, `prompt:${serverId}/${name}`, NO_INPUT)),
    offerAction(serverId, `read:${serverId}`, URI_INPUT),
    ...PER_SERVER.map(({ prefix, group, input }) => ({
      id: `${prefix}:${serverId}`,
      group,
      serverId,
      ...typeInput(input),
    })),
  ]);
  return new Map(actions.map((action) => [action.id, action]));
}

/** A call of the tool, and its result. */
function toolActions(serverId: string, { name, inputSchema, outputSchema }: ToolSchemas): readonly PolicyAction[] {
  const call = { id: `${serverId}/${name}`, group: "call_tool", serverId, ...typeInput(inputSchema) } as const;
  const { input: output, isOpaque } = typeOutput(outputSchema);
  const typed = output === undefined ? {} : { output };
  return [call, { id: respondAction(call.id), group: "respond", serverId, input: call.input, ...typed, isOpaque }];
}

/** @param target  id of the action that the offer is for */
function offerAction(serverId: string, target: string, input: JsonValue): PolicyAction {
  return { id: offerOf(target), group: "offer", serverId, ...typeInput(input) };
}

/** Id of the action about offering what another action is about. */
export function offerOf(actionId: string): string {
  return `offer:${actionId}`;
}

/** Id of the action about the result of a tool's call. */
export function respondAction(actionId: string): string {
  return `respond:${actionId}`;
}

/**
 * Types an output schema. No member is required: a result may come without structured content, and policy asks with `has`.
 * A schema that is a mere reference is not typed, since what it requires stands elsewhere.
 */
function typeOutput(schema: JsonValue | undefined): Pick<PolicyAction, "input" | "isOpaque"> {
  if (schema === undefined) return typeInput(undefined);
  if (!isJsonObject(schema) || schema["$ref"] !== undefined) return { input: undefined, isOpaque: true };
  return typeInput({ ...schema, required: [] });
}

/** Arguments of a resource read, a completion and a subscription: what they name. */
const URI_INPUT: JsonValue = { type: "object", properties: { uri: { type: "string" } } };
const NO_INPUT: JsonValue = { type: "object", properties: {} };
/** `method` is the request's; `extensions` are those that the server declares. */
const METHOD_INPUT: JsonValue = {
  type: "object",
  properties: { method: { type: "string" }, extensions: { type: "array", items: { type: "string" } } },
  required: ["method", "extensions"],
};
/** `mode` is `form` or `url`; `url` is there in mode `url`. */
const ELICIT_INPUT: JsonValue = { type: "object", properties: { mode: { type: "string" }, url: { type: "string" } } };

/** The actions that every server has, by the prefix of their ids. */
const PER_SERVER: readonly { readonly prefix: string; readonly group: ServerGroup; readonly input: JsonValue }[] = [
  { prefix: "read", group: "read_resource", input: URI_INPUT },
  { prefix: "complete", group: "complete", input: URI_INPUT },
  { prefix: "subscribe", group: "subscribe", input: URI_INPUT },
  { prefix: "task", group: "task", input: NO_INPUT },
  { prefix: "sample", group: "sample", input: NO_INPUT },
  { prefix: "elicit", group: "elicit", input: ELICIT_INPUT },
  { prefix: "roots", group: "roots", input: NO_INPUT },
  { prefix: "list", group: "list", input: METHOD_INPUT },
  { prefix: "extension", group: "extension", input: METHOD_INPUT },
];

/**
 * The schema in Cedar's JSON form.
 *
 * @param use  members of the actions' contexts that are wanted; default: all
 */
export function buildSchema(
  sources: readonly SchemaSource[],
  actions: Iterable<PolicyAction>,
  use: WantedContext = WHOLE_CONTEXT,
): SchemaJson<string> {
  const servers = [...new Set(sources.map(({ serverId }) => serverId))];
  const entries = [
    ...GROUPS.map((group) => [group, {}] as const),
    ...servers.map((serverId) => [`server:${serverId}`, {}] as const),
    ...[...actions].map((action) => [action.id, actionType(action, use)] as const),
  ];
  return {
    [NAMESPACE]: {
      entityTypes: {
        ...Object.fromEntries(
          PRINCIPAL_TYPES.map((type) => [type, { memberOfTypes: [...PARENT_TYPES], shape: PRINCIPAL }]),
        ),
        ...Object.fromEntries(PARENT_TYPES.map((type) => [type, {}])),
        Server: { shape: { type: "Record", attributes: serverAttributes(sources) } },
      },
      actions: Object.fromEntries(entries),
    },
  };
}

function actionType(
  action: PolicyAction,
  use: WantedContext,
): NonNullable<SchemaJson<string>[string]["actions"][string]> {
  return {
    memberOf: groupsOf(action).map((id) => ({ id })),
    appliesTo: {
      principalTypes: [...PRINCIPAL_TYPES],
      resourceTypes: ["Server"],
      context: recordOf(cutContext(contextOf(action), use, cutType)),
    },
  };
}

function contextOf({ group, input, output }: PolicyAction): Readonly<Record<string, CedarType>> {
  const common = { input: input?.type ?? recordOf({}), session: SESSION };
  if (group !== "respond") return { ...common, system: SYSTEM };
  return { ...common, output: output?.type ?? recordOf({}), system: RESULT_SYSTEM };
}

function cutType(group: CedarType, members: ReadonlySet<string>): CedarType {
  return "attributes" in group ? { type: "Record", attributes: pick(group.attributes, members) } : group;
}

/** Groups of actions that are no calls of a server. */
const APART: ReadonlySet<ActionGroup> = new Set<ActionGroup>(["respond", "list", "offer"]);

/** The groups of an action: a rule about a server's calls is not one about their results, nor about what is listed. */
export function groupsOf({ group, serverId }: Pick<PolicyAction, "group" | "serverId">): readonly string[] {
  return APART.has(group) ? [group] : [group, `server:${serverId}`];
}

/** Types an input schema. No schema at all is an object without members. */
function typeInput(schema: JsonValue | undefined): Pick<PolicyAction, "input" | "isOpaque"> {
  const typed = schema ?? { type: "object", properties: {} };
  const withMembers = isJsonObject(typed) && typed["properties"] === undefined ? { ...typed, properties: {} } : typed;
  const state = startCompilation(typed);
  try {
    const input = compileMapping(withMembers, state);
    return input.type.type === "Record" ? { input, isOpaque: state.isOpaque } : { input: undefined, isOpaque: true };
  } catch (error) {
    if (error instanceof OpaqueSchema) return { input: undefined, isOpaque: true };
    throw error;
  }
}

/** The union of all servers' attributes, each optional: a policy must ask with `has`. */
function serverAttributes(sources: readonly SchemaSource[]): Record<string, CedarType & { required: boolean }> {
  const attributes: Record<string, CedarType & { required: boolean }> = {};
  for (const { attributes: given } of sources) {
    for (const [name, value] of Object.entries(given)) attributes[name] = { ...attributeType(value), required: false };
  }
  return attributes;
}

function attributeType(value: JsonValue): CedarType {
  if (typeof value === "boolean") return BOOLEAN;
  if (typeof value === "number") return LONG;
  return Array.isArray(value) ? STRINGS : STRING;
}

function recordOf(attributes: Readonly<Record<string, CedarType>>): CedarType & { type: "Record" } {
  return { type: "Record", attributes: { ...attributes } };
}

/** `context.session` and `context.system` in which every text is empty, every number 0 and every set empty, but for `now`. */
export function emptyContext(): Readonly<Record<"session" | "system", Readonly<Record<string, CedarValueJson>>>> {
  return { session: emptyRecord(SESSION_MEMBERS), system: emptyRecord(SYSTEM_MEMBERS) };
}

function emptyRecord(members: Readonly<Record<string, CedarType>>): Readonly<Record<string, CedarValueJson>> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, { type }]) => {
      const value = EMPTY[type];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

const EMPTY: Readonly<Record<string, CedarValueJson>> = { String: "", Long: 0, Boolean: false, Set: [] };
