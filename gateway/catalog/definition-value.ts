/**
 * The value of a definition for digests. Schemas hold numbers that a double does not carry (64-bit limits); such a token
 * is replaced by the string `number:<token>`, so that two limits which a parser would round to one stay apart.
 */

import { FormatError } from "../../kernel/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";

const TOKEN = /"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/gu;

/**
 * @param text  JSON text of one object that the strict scan accepted
 * @throws {FormatError} ERR_JSON_SYNTAX, ERR_SHAPE if it is not an object
 */
export function definitionValue(text: string): JsonObject {
  const value = parse(text.replace(TOKEN, (token) => (token.startsWith('"') ? token : exactToken(token))));
  if (isJsonObject(value)) return value;
  throw new FormatError("ERR_SHAPE", "definition: want an object");
}

/** Not the kernel's parser: that one refuses integers beyond 2^53, which schemas hold and doubles may carry exactly. */
const readJson: (text: string) => JsonValue = JSON.parse;

function parse(text: string): JsonValue {
  try {
    return readJson(text);
  } catch (cause) {
    throw new FormatError("ERR_JSON_SYNTAX", "definition: not JSON", { cause });
  }
}

/** The token itself if its double has the same decimal value, else a string that names the token. */
function exactToken(token: string): string {
  const value = Number(token);
  if (Number.isFinite(value) && decimalOf(token) === decimalOf(String(value))) return value === 0 ? "0" : token;
  return `"number:${token}"`;
}

/** One spelling for each decimal value: sign, digits without zeros at either end, exponent of the last digit. */
function decimalOf(token: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/u.exec(token) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/u, "");
  if (digits === "") return "0";
  const significant = digits.replace(/0+$/u, "");
  const scale = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${scale}`;
}

/** The member that names a definition of this kind. */
const NAME_MEMBERS = { tool: "name", prompt: "name", resource: "uri", "resource-template": "uriTemplate" } as const;

/** Name of a tool or prompt, URI of a resource. @throws {FormatError} ERR_SHAPE if it has none */
export function definitionName(kind: keyof typeof NAME_MEMBERS, text: string): string {
  const name = definitionValue(text)[NAME_MEMBERS[kind]];
  if (typeof name === "string" && name !== "") return name;
  throw new FormatError("ERR_SHAPE", `definition.${NAME_MEMBERS[kind]}: want a string that is not empty`);
}
