/**
 * AdmissionReview of `admission.k8s.io/v1`: the parts of a request that are judged, and the answer. Objects of a cluster
 * have members that nobody here knows, so only what is judged is read, and what is not of its form is not judged.
 */

import { FormatError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import {
  ADMISSION_RESOURCES,
  type AdmissionOperation,
  type AdmissionResource,
} from "../../kernel/receipt/vocabulary.ts";

/** What a cluster asks. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: AdmissionOperation;
  readonly resource: AdmissionResource;
  readonly namespace: string;
  /** Whom the cluster names as asking. */
  readonly username: string;
  readonly isDryRun: boolean;
  /** Null where the operation has none. */
  readonly object: JsonObject | null;
  readonly oldObject: JsonObject | null;
}

/** What it is told. */
export interface AdmissionAnswer {
  readonly allowed: boolean;
  /** Says what to do. */
  readonly message: string;
  readonly warnings: readonly string[];
  /** `<stream>/<seq>`; undefined for a dry run. */
  readonly receipt?: string;
}

const API_VERSION = "admission.k8s.io/v1";
const MAX_UID = 128;
const MAX_NAME = 1024;
const OPERATIONS: Readonly<Record<string, AdmissionOperation>> = {
  CREATE: "create",
  UPDATE: "update",
  DELETE: "delete",
  CONNECT: "connect",
};
const GROUPS: ReadonlySet<string> = new Set(["", "apps", "batch"]);

/**
 * Reads a review.
 *
 * @throws {FormatError} ERR_SHAPE, ERR_JSON_*, ERR_UTF8
 */
export function readReview(bytes: Uint8Array, maxBytes: number): AdmissionRequest {
  const review = parseJson(bytes, { numbers: "rounded", maxBytes });
  if (!isJsonObject(review) || review["apiVersion"] !== API_VERSION || review["kind"] !== "AdmissionReview") {
    throw new FormatError("ERR_SHAPE", `review: want an AdmissionReview of ${API_VERSION}`);
  }
  const request = objectAt(review, "request");
  const operation = OPERATIONS[textAt(request, "operation", MAX_NAME)];
  if (operation === undefined) throw new FormatError("ERR_SHAPE", "review.request.operation: want one that v1 has");
  return {
    uid: textAt(request, "uid", MAX_UID),
    operation,
    resource: resourceOf(request),
    namespace: optionalText(request["namespace"]),
    username: optionalText(objectAt(request, "userInfo")["username"]),
    isDryRun: request["dryRun"] === true,
    object: objectOrNull(request["object"]),
    oldObject: objectOrNull(request["oldObject"]),
  };
}

/** The answer, as the cluster reads it. */
export function formatReview(uid: string, { allowed, message, warnings, receipt }: AdmissionAnswer): JsonObject {
  const status = { code: 403, reason: "Forbidden", message };
  return {
    apiVersion: API_VERSION,
    kind: "AdmissionReview",
    response: {
      uid,
      allowed,
      ...(allowed ? {} : { status }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(receipt === undefined ? {} : { auditAnnotations: { receipt } }),
    },
  };
}

function resourceOf(request: JsonObject): AdmissionResource {
  const { group, resource } = objectAt(request, "resource");
  if (typeof group !== "string" || typeof resource !== "string") {
    throw new FormatError("ERR_SHAPE", "review.request.resource: want group and resource");
  }
  const sub = optionalText(request["subResource"]);
  const name = sub === "" ? resource : `${resource}/${sub}`;
  return GROUPS.has(group) ? (ADMISSION_RESOURCES.find((known) => known === name) ?? "other") : "other";
}

function objectAt(value: JsonObject, member: string): JsonObject {
  const found = value[member];
  if (found !== undefined && isJsonObject(found)) return found;
  throw new FormatError("ERR_SHAPE", `review: want an object at ${member}`);
}

function textAt(value: JsonObject, member: string, maxLength: number): string {
  const found = value[member];
  if (typeof found === "string" && found !== "" && found.length <= maxLength) return found;
  throw new FormatError("ERR_SHAPE", `review: want a text at ${member}`);
}

function optionalText(value: JsonValue | undefined): string {
  return typeof value === "string" && value.length <= MAX_NAME ? value : "";
}

function objectOrNull(value: JsonValue | undefined): JsonObject | null {
  return value !== undefined && isJsonObject(value) ? value : null;
}
