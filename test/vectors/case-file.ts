/** What a kind of vectors gets and gives: the cases of one file or folder, and one result each. */

import { isCodedError } from "../../kernel/errors.ts";

/** A JSON object of a vector file, as JSON.parse gives it. */
export interface VectorObject {
  readonly [key: string]: unknown;
}

/** The cases of one file, with what they share. */
export interface CaseFile {
  /** The kind, which is the file's path without `.json`; or the kind that a manifest names. */
  readonly kind: string;
  /** Absolute path of the folder that holds the file. */
  readonly folder: string;
  /** The whole document; its members beside `cases` are shared by the cases. */
  readonly document: VectorObject;
  readonly cases: readonly VectorObject[];
}

/** One case, done. */
export interface CaseResult {
  readonly id: string;
  readonly expected: unknown;
  readonly got: unknown;
  /** Code of the error that the code under test threw. */
  readonly code: string | null;
  /** Why the case was not run, or what broke in running it. */
  readonly reason?: string;
  readonly verdict: "passed" | "failed" | "skipped";
}

/** Runs the cases of one file in order. Throwing is a fault of the vectors or of the runner, and fails. */
export type KindHandler = (file: CaseFile) => AsyncIterable<CaseResult>;

/** What a case found: `reject` with the error's code, or whatever `run` returned. */
export interface Finding {
  readonly got: unknown;
  readonly code: string | null;
  readonly reason?: string;
}

/**
 * Runs the code under test. Only FormatError and CheckError count as a refusal: any other exception is a fault and agrees
 * with no expectation.
 */
export async function find(run: () => unknown): Promise<Finding> {
  try {
    return { got: await run(), code: null };
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    if (isCodedError(error) && (name === "FormatError" || name === "CheckError")) {
      return { got: "reject", code: error.code };
    }
    return { got: "fault", code: null, reason: String(error) };
  }
}

/** A finished case: passed if what was found is exactly what was expected. */
export function compare(id: string, expected: unknown, finding: Finding): CaseResult {
  const verdict = JSON.stringify(expected) === JSON.stringify(finding.got) ? "passed" : "failed";
  return { id, expected, ...finding, verdict };
}

/** A case that is not run, with the reason. */
export function skipped(id: string, reason: string): CaseResult {
  return { id, expected: null, got: "skipped", code: null, reason, verdict: "skipped" };
}

/** `<kind>/<name>`, or the number of the case where it has no name. */
export function caseId({ kind, cases }: CaseFile, one: VectorObject): string {
  const name = one["name"] ?? one["peer"] ?? one["number"];
  return `${kind}/${typeof name === "string" || typeof name === "number" ? name : cases.indexOf(one)}`;
}

/** A handler of independent cases: `expect` says what each case should give, `run` what it gives. */
export function eachCase(
  run: (one: VectorObject, file: CaseFile) => unknown,
  expect: (one: VectorObject, file: CaseFile) => unknown = (one) => verdictOf(one),
): KindHandler {
  return async function* (file) {
    for (const one of file.cases) {
      const expected = await find(() => expect(one, file));
      // A case that does not say what it expects fails, and the others are run all the same.
      if (expected.got === "fault") yield { id: caseId(file, one), expected: null, ...expected, verdict: "failed" };
      else yield compare(caseId(file, one), expected.got, await find(() => run(one, file)));
    }
  };
}

/** `accept` or `reject`, from `expect`. */
export function verdictOf(one: VectorObject): "accept" | "reject" {
  const expect = one["expect"];
  if (expect === "accept" || expect === "reject") return expect;
  throw new Error(`want expect: accept or reject, got ${String(expect)}`);
}

/** A string member. */
export function textOf(one: VectorObject, key: string): string {
  const value = one[key];
  if (typeof value !== "string") throw new Error(`want a string in ${key}`);
  return value;
}

/** An integer member: a safe number, or a string of digits. */
export function integerOf(one: VectorObject, key: string): bigint {
  const value = one[key];
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "string" && /^[0-9]+$/.test(value)) return BigInt(value);
  throw new Error(`want an integer in ${key}`);
}

/** A list of strings. */
export function textsOf(one: VectorObject, key: string): readonly string[] {
  const value: unknown = one[key];
  if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
  throw new Error(`want a list of strings in ${key}`);
}

/** True for a JSON object. */
export function isVectorObject(value: unknown): value is VectorObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
