/**
 * Cases of a manifest whose inputs are references into files (fixtures/trace/README.md): resolves inputs, applies the
 * changes of a verdict, and compares what a check found with what the verdict wants.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CaseResult, isVectorObject, textOf, type VectorObject } from "./case-file.ts";

/** What a check found: a result word, the reasons of anything but a pass, and values that it read. */
export interface CheckFinding {
  readonly result: "pass" | "fail" | "not_established" | "refused";
  readonly fails?: readonly string[];
  readonly parsed?: VectorObject;
}

/** Answers one question about the resolved inputs of a verdict. */
export type VerdictCheck = (inputs: VectorObject) => CheckFinding | Promise<CheckFinding>;

/** Runs one verdict of a case. */
export async function runVerdict(
  id: string,
  { folder, one, verdict }: { readonly folder: string; readonly one: VectorObject; readonly verdict: VectorObject },
  check: VerdictCheck,
): Promise<CaseResult> {
  const inputs = applyChanges(inputsOf(folder, one, verdict), verdict["change"]);
  const expected = {
    result: verdict["result"],
    reason: firstOf(verdict["fails"]),
    parsed: resolve(folder, verdict["parsed"]),
  };
  try {
    const finding = await check(inputs);
    const agrees = finding.result === expected.result ? hasReason(finding, expected) : isAccepted(finding, verdict);
    const got = { result: finding.result, fails: finding.fails ?? [] };
    return { id, expected: expected.result, got, code: null, verdict: agrees ? "passed" : "failed" };
  } catch (error) {
    return { id, expected: expected.result, got: "fault", code: null, reason: String(error), verdict: "failed" };
  }
}

/** An input that is bytes. */
export function bytesInput(inputs: VectorObject, name: string): Uint8Array {
  const value = inputs[name];
  if (value instanceof Uint8Array) return value;
  throw new Error(`want bytes in the input ${name}`);
}

interface Expected {
  readonly reason: unknown;
  readonly parsed: unknown;
}

function hasReason({ result, fails = [], parsed = {} }: CheckFinding, expected: Expected): boolean {
  const want = isVectorObject(expected.parsed) ? expected.parsed : {};
  const hasValues = Object.entries(want).every(
    ([name, value]) => JSON.stringify(parsed[name]) === JSON.stringify(value),
  );
  return (
    hasValues &&
    (result === "pass" ? fails.length === 0 : expected.reason === undefined || fails[0] === expected.reason)
  );
}

function isAccepted({ result }: CheckFinding, { accept }: VectorObject): boolean {
  return Array.isArray(accept) && accept.includes(result);
}

function firstOf(list: unknown): unknown {
  return Array.isArray(list) ? list[0] : undefined;
}

function inputsOf(folder: string, one: VectorObject, verdict: VectorObject): VectorObject {
  const [shared, own] = [one["inputs"] ?? {}, verdict["inputs"] ?? {}];
  const inputs: unknown = resolve(folder, { ...toObject(shared), ...toObject(own) });
  return toObject(inputs);
}

function toObject(value: unknown): VectorObject {
  if (isVectorObject(value)) return value;
  throw new Error("want an object of inputs");
}

/** References become bytes or values, at any depth; all else stays. */
function resolve(folder: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => resolve(folder, item));
  if (!isVectorObject(value)) return value;
  if (typeof value["file"] === "string") return resolveFile(folder, value);
  if (Object.keys(value).length === 1 && value["json"] !== undefined) return encode(JSON.stringify(value["json"]));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(folder, item)]));
}

function resolveFile(folder: string, reference: VectorObject): unknown {
  const bytes = new Uint8Array(readFileSync(join(folder, textOf(reference, "file"))));
  const { pointer, bytes: range } = reference;
  if (Array.isArray(range)) return bytes.subarray(Number(range[0]), Number(range[1]));
  if (typeof pointer !== "string") return bytes;
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
  return stepsOf(pointer).reduce<unknown>((at, step) => memberOf(at, step), document);
}

function stepsOf(pointer: string): readonly string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function memberOf(at: unknown, step: string): unknown {
  if (Array.isArray(at)) return at[Number(step)];
  if (isVectorObject(at)) return at[step];
  throw new Error(`the pointer step ${step} leads nowhere`);
}

/** Applies operations on inputs, in order. */
function applyChanges(inputs: VectorObject, change: unknown): VectorObject {
  if (change === undefined) return inputs;
  if (!Array.isArray(change)) throw new Error("want a list of changes");
  const changed = new Map(Object.entries(inputs));
  for (const operation of change.map(toObject)) {
    const name = textOf(operation, "input");
    changed.set(name, applyChange(changed.get(name), operation));
  }
  return Object.fromEntries(changed);
}

function applyChange(input: unknown, operation: VectorObject): Uint8Array {
  if (!(input instanceof Uint8Array)) throw new Error("want bytes to change");
  const op = textOf(operation, "op");
  if (op === "append") return Uint8Array.from([...input, ...Buffer.from(textOf(operation, "hex"), "hex")]);
  if (op === "replace_text") return replaceText(input, operation);
  const document: unknown = JSON.parse(new TextDecoder().decode(input));
  if (op !== "compact") changeMember(document, op, operation);
  return encode(JSON.stringify(document));
}

function replaceText(input: Uint8Array, operation: VectorObject): Uint8Array {
  const [find, bytes] = [Buffer.from(textOf(operation, "find")), Buffer.from(input)];
  const at = bytes.indexOf(find);
  if (at < 0) throw new Error("the text to replace is not there");
  const hex = operation["with_hex"];
  const other = typeof hex === "string" ? Buffer.from(hex, "hex") : Buffer.from(textOf(operation, "with"));
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(at + find.length)]));
}

function changeMember(document: unknown, op: string, operation: VectorObject): void {
  const steps = stepsOf(textOf(operation, "path"));
  const last = steps.at(-1) ?? "";
  const parent = steps.slice(0, -1).reduce(memberOf, document);
  if (typeof parent !== "object" || parent === null) throw new Error("the path leads nowhere");
  if (op === "remove" && !Array.isArray(parent)) Reflect.deleteProperty(parent, last);
  else if (Array.isArray(parent) && (op === "remove" || op === "add"))
    changeItems(parent, op, last, operation["value"]);
  else Reflect.set(parent, last, newValue(op, memberOf(parent, last), operation));
}

function changeItems(items: unknown[], op: "remove" | "add", step: string, value: unknown): void {
  const at = step === "-" ? items.length : Number(step);
  if (op === "remove") items.splice(at, 1);
  else items.splice(at, 0, value);
}

function newValue(op: string, old: unknown, operation: VectorObject): unknown {
  if (op === "replace" || op === "add") return operation["value"];
  if (typeof old !== "string") throw new Error(`${op}: want a string at the path`);
  if (op === "append_text") return old + textOf(operation, "value");
  if (op !== "flip_hex") throw new Error(`unknown operation ${op}`);
  const at = Number(operation["offset"]);
  const digit = ((Number.parseInt(old.charAt(at), 16) + 1) % 16).toString(16);
  return old.slice(0, at) + digit + old.slice(at + 1);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
