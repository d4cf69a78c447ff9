/**
 * What OCSF 1.8.0 says of the classes and objects that our events use: attributes with their types, which are required, closed
 * lists, of which at least one has to be there. Read from the schema's own files (github.com/ocsf/ocsf-schema, commit 3dcb905d,
 * Apache-2.0): base_event, application_lifecycle, api_activity, profile security_control, and the objects named here.
 */

import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

type Scalar = "string" | "integer" | "long" | "boolean" | "timestamp" | "object";

interface Attribute {
  readonly type: Scalar | { readonly object: string };
  readonly isArray?: true;
  readonly isRequired?: true;
  /** Captions by number; the attribute `sibling` has to repeat the caption, but for 99. */
  readonly list?: Readonly<Record<number, string>>;
  readonly sibling?: string;
}

interface Rules {
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly atLeastOne?: readonly string[];
}

const TEXT: Attribute = { type: "string" };
const object = (name: string): Attribute => ({ type: { object: name } });
const required = (attribute: Attribute): Attribute => ({ ...attribute, isRequired: true });

const SEVERITIES = {
  0: "Unknown",
  1: "Informational",
  2: "Low",
  3: "Medium",
  4: "High",
  5: "Critical",
  6: "Fatal",
  99: "Other",
};
const DISPOSITIONS = Object.fromEntries(
  [
    "Unknown Allowed Blocked Quarantined Isolated Deleted Dropped Custom_Action Approved Restored Exonerated Corrected",
    "Partially_Corrected Uncorrected Delayed Detected No_Action Logged Tagged Alert Count Reset Captcha Challenge",
    "Access_Revoked Rejected Unauthorized Error",
  ]
    .join(" ")
    .split(" ")
    .map((caption, id) => [id, caption.replaceAll("_", " ")]),
);

/** Objects by name. */
const OBJECTS: Readonly<Record<string, Rules>> = {
  metadata: {
    attributes: {
      version: required(TEXT),
      product: required(object("product")),
      uid: TEXT,
      event_code: TEXT,
      original_time: TEXT,
      log_name: TEXT,
      correlation_uid: TEXT,
      sequence: { type: "integer" },
      profiles: { type: "string", isArray: true },
    },
  },
  product: { attributes: { name: TEXT, vendor_name: TEXT, version: TEXT, uid: TEXT }, atLeastOne: ["name", "uid"] },
  actor: {
    attributes: { user: object("user"), session: object("session"), app_uid: TEXT, app_name: TEXT },
    atLeastOne: ["process", "user", "invoked_by", "session", "app_name", "app_uid"],
  },
  user: {
    attributes: {
      uid: TEXT,
      name: TEXT,
      domain: TEXT,
      type: TEXT,
      type_id: {
        type: "integer",
        list: { 0: "Unknown", 1: "User", 2: "Admin", 3: "System", 4: "Service", 99: "Other" },
        sibling: "type",
      },
    },
    atLeastOne: ["account", "name", "uid"],
  },
  session: { attributes: { uid: TEXT, issuer: TEXT } },
  api: {
    attributes: {
      operation: required(TEXT),
      service: object("service"),
      request: object("request"),
      response: object("response"),
      version: TEXT,
    },
  },
  service: { attributes: { name: TEXT, uid: TEXT }, atLeastOne: ["name", "uid"] },
  request: { attributes: { uid: required(TEXT) } },
  response: { attributes: { code: { type: "integer" }, error: TEXT } },
  network_endpoint: {
    attributes: { name: TEXT, svc_name: TEXT, uid: TEXT },
    atLeastOne: [
      "ip",
      "uid",
      "name",
      "hostname",
      "svc_name",
      "instance_uid",
      "interface_uid",
      "interface_name",
      "domain",
    ],
  },
  fingerprint: {
    attributes: {
      algorithm_id: required({
        type: "integer",
        list: { 0: "Unknown", 1: "MD5", 2: "SHA-1", 3: "SHA-256", 4: "SHA-512", 99: "Other" },
        sibling: "algorithm",
      }),
      algorithm: TEXT,
      value: required(TEXT),
    },
  },
  policy: {
    attributes: { uid: TEXT, name: TEXT, version: TEXT, is_applied: { type: "boolean" } },
    atLeastOne: ["name", "type", "uid"],
  },
  authorization: { attributes: { decision: TEXT, policy: object("policy") } },
};

const base = (category: number, uid: number, activities: Readonly<Record<number, string>>): Rules["attributes"] => ({
  activity_id: required({
    type: "integer",
    list: { 0: "Unknown", ...activities, 99: "Other" },
    sibling: "activity_name",
  }),
  activity_name: TEXT,
  category_uid: required({
    type: "integer",
    list: { [category]: category === 6 ? "Application Activity" : "Uncategorized" },
    sibling: "category_name",
  }),
  category_name: TEXT,
  class_uid: required({ type: "integer", list: { [uid]: CLASS_NAMES[uid] ?? "" }, sibling: "class_name" }),
  class_name: TEXT,
  type_uid: required({ type: "long" }),
  type_name: TEXT,
  time: required({ type: "timestamp" }),
  start_time: { type: "timestamp" },
  end_time: { type: "timestamp" },
  duration: { type: "long" },
  count: { type: "integer" },
  severity_id: required({ type: "integer", list: SEVERITIES, sibling: "severity" }),
  severity: TEXT,
  status_id: { type: "integer", list: { 0: "Unknown", 1: "Success", 2: "Failure", 99: "Other" }, sibling: "status" },
  status: TEXT,
  status_code: TEXT,
  status_detail: TEXT,
  message: TEXT,
  metadata: required(object("metadata")),
  raw_data_hash: object("fingerprint"),
  raw_data_size: { type: "long" },
  unmapped: { type: "object" },
  // Profile security_control.
  action_id: {
    type: "integer",
    list: { 0: "Unknown", 1: "Allowed", 2: "Denied", 3: "Observed", 4: "Modified", 99: "Other" },
    sibling: "action",
  },
  action: TEXT,
  disposition_id: { type: "integer", list: { ...DISPOSITIONS, 99: "Other" }, sibling: "disposition" },
  disposition: TEXT,
  policy: object("policy"),
  authorizations: { type: { object: "authorization" }, isArray: true },
});

const CLASS_NAMES: Readonly<Record<number, string>> = {
  0: "Base Event",
  6002: "Application Lifecycle",
  6003: "API Activity",
};

/** Classes by uid. */
const CLASSES: Readonly<Record<number, Rules>> = {
  0: { attributes: base(0, 0, {}) },
  6002: {
    attributes: {
      ...base(6, 6002, {
        1: "Install",
        2: "Remove",
        3: "Start",
        4: "Stop",
        5: "Restart",
        6: "Enable",
        7: "Disable",
        8: "Update",
      }),
      app: required(object("product")),
    },
  },
  6003: {
    attributes: {
      ...base(6, 6003, { 1: "Create", 2: "Read", 3: "Update", 4: "Delete" }),
      actor: required(object("actor")),
      api: required(object("api")),
      src_endpoint: required(object("network_endpoint")),
      dst_endpoint: object("network_endpoint"),
    },
  },
};

/** Every rule that an event breaks, as a sentence; empty if it is an event of its class. */
export function ocsfFaults(event: JsonValue): readonly string[] {
  if (!isJsonObject(event)) return ["an event is an object"];
  const rules = CLASSES[Number(event["class_uid"])];
  if (rules === undefined) return ["class_uid: unknown"];
  const faults = faultsOf(event, rules, "");
  const type = Number(event["class_uid"]) * 100 + Number(event["activity_id"]);
  if (event["type_uid"] !== type) faults.push("type_uid: want class_uid * 100 + activity_id");
  const { metadata } = event;
  const version = isJsonObject(metadata) ? metadata["version"] : undefined;
  if (version !== "1.8.0") faults.push("metadata.version: want 1.8.0");
  return faults;
}

function faultsOf(value: JsonObject, { attributes, atLeastOne = [] }: Rules, at: string): string[] {
  const faults: string[] = [];
  for (const [name, { isRequired }] of Object.entries(attributes)) {
    if (isRequired === true && value[name] === undefined) faults.push(`${at}${name}: required`);
  }
  if (atLeastOne.length > 0 && !atLeastOne.some((name) => value[name] !== undefined)) {
    faults.push(`${at}: want one of ${atLeastOne.join(", ")}`);
  }
  for (const [name, item] of Object.entries(value)) {
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    if (attribute === undefined) faults.push(`${at}${name}: no attribute`);
    else if (item !== undefined) faults.push(...itemFaults(value, item, attribute, `${at}${name}`));
  }
  return faults;
}

function itemFaults(holder: JsonObject, item: JsonValue, attribute: Attribute, at: string): readonly string[] {
  const { isArray, list, sibling, type } = attribute;
  if (isArray === true) {
    if (!Array.isArray(item)) return [`${at}: want a list`];
    const { isArray: _, ...each } = attribute;
    return item.flatMap((one: JsonValue, i) => itemFaults(holder, one, each, `${at}/${i}`));
  }
  if (typeof type === "object") {
    const rules = OBJECTS[type.object];
    return isJsonObject(item) && rules !== undefined ? faultsOf(item, rules, `${at}.`) : [`${at}: want an object`];
  }
  if (!isScalar(item, type)) return [`${at}: want ${type}`];
  if (list === undefined) return [];
  const caption = list[Number(item)];
  if (caption === undefined) return [`${at}: not in the list`];
  const said = sibling === undefined ? undefined : holder[sibling];
  if (item === 99) return said === undefined || said === "Other" ? [`${at}: want the source's own word`] : [];
  return said === undefined || said === caption ? [] : [`${at}: want its caption, ${caption}`];
}

function isScalar(item: JsonValue, type: Scalar): boolean {
  switch (type) {
    case "string":
      return typeof item === "string";
    case "boolean":
      return typeof item === "boolean";
    case "object":
      return isJsonObject(item);
    case "integer":
      return typeof item === "number" && (item | 0) === item;
    case "long":
      return typeof item === "number" && Number.isSafeInteger(item);
    // UTC epoch in milliseconds: a number of seconds would be before 1980.
    case "timestamp":
      return typeof item === "number" && Number.isSafeInteger(item) && item > 315_532_800_000;
  }
}
