/** A command over a control that is switched on and off for targets: `on`, `off` and `list`. */

import { parseGatewayConfig } from "../gateway/config.ts";
import { isJsonObject, type JsonValue } from "../kernel/json/value.ts";
import { EXIT, readArguments, UsageError } from "./command.ts";
import { readJsonFile } from "./files.ts";
import type { Io } from "./io.ts";
import { operatorClient } from "./operator-client.ts";

const OPTIONS = {
  config: { type: "string" },
  "token-file": { type: "string" },
  reason: { type: "string" },
  json: { type: "boolean" },
} as const;
const REASONS = ["incident", "maintenance", "request"];

/** What the words after the command's name are. */
export const SWITCH_WORDS = `  on <target>        all, principal:<issuer>|<name>, session:<uuid>, server:<id>, tool:<server>/<tool>; instead of a
                     name or uuid also the keyed hash that receipts have
  off <target>       as it was given, or as "list" shows it
  list               what is on now

  --config <file>    the gateway's configuration
  --token-file <f>   an operator's own token; default: operator_token_file of the configuration
  --reason <word>    incident, maintenance or request (the default); stands in the receipt
  --json             print the gateway's answer
`;

/** Runs such a command over the route `path`. */
export async function runSwitch(path: string, args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 2);
  const [verb, target] = given.positionals;
  const reason = given.text("reason") ?? "request";
  if (!REASONS.includes(reason)) throw new UsageError(`--reason: want ${REASONS.join(", ")}`);
  const call = operatorClient(readJsonFile(given.required("config"), parseGatewayConfig), given.text("token-file"));
  if (verb === "list" && target === undefined) {
    const answer = await call("GET", path);
    io.out(given.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : listText(answer["entries"]));
    return EXIT.ok;
  }
  if ((verb !== "on" && verb !== "off") || target === undefined) {
    throw new UsageError("want on <target>, off <target> or list");
  }
  const change = { target, reason: `operator.${reason}` };
  const answer = await call(verb === "on" ? "PUT" : "DELETE", path, change);
  io.out(given.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : `${verb}: ${String(answer["target"])}\n`);
  return EXIT.ok;
}

function listText(entries: JsonValue | undefined): string {
  const lines = listOf(entries).map((entry) => {
    const { target, since, reason, by } = isJsonObject(entry) ? entry : {};
    return `${String(target)}  since ${String(since)}  ${String(reason)}  by ${String(by)}`;
  });
  return lines.length === 0 ? "nothing\n" : `${lines.join("\n")}\n`;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return isList(value) ? value : [];
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}
