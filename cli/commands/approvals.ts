/** `countersign approvals`: what waits for somebody's yes at a running gateway, and the answers to it. */

import { parseGatewayConfig } from "../../gateway/config.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readJsonFile } from "../files.ts";
import type { Io } from "../io.ts";
import { operatorClient } from "../operator-client.ts";

const HELP = `countersign approvals list | show <id> | grant <id> | refuse <id> --config <file>

Calls that a policy holds for an approval (docs/policy.md). A grant lets the same call of the same agent pass once, until it
expires; whoever asked cannot grant it.

  --config <file>    the gateway's configuration
  --token-file <f>   an operator's own token, which proves a person; operator_token_file, the default, proves the machine's
                     account alone and counts only where the policy says @approvers("local-user")
  --json             print the gateway's answer
`;

const OPTIONS = { config: { type: "string" }, "token-file": { type: "string" }, json: { type: "boolean" } } as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 2);
  const [verb, id] = given.positionals;
  const call = operatorClient(readJsonFile(given.required("config"), parseGatewayConfig), given.text("token-file"));
  const print = (answer: JsonObject, lines: readonly string[]): number => {
    io.out(given.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : `${lines.join("\n")}\n`);
    return EXIT.ok;
  };
  if (verb === "list" && id === undefined) {
    const answer = await call("GET", "/approvals");
    const lines = listOf(answer["approvals"]).map(lineOf);
    return print(answer, lines.length === 0 ? ["nothing"] : lines);
  }
  if (id === undefined || !/^[0-9a-f]{32}$/u.test(id))
    throw new UsageError("want list, or show, grant or refuse and an id");
  if (verb === "show") {
    const answer = await call("GET", `/approvals/${id}`);
    return print(answer, [lineOf(answer), JSON.stringify(answer["arguments"] ?? "arguments are not shown")]);
  }
  if (verb !== "grant" && verb !== "refuse") throw new UsageError("want list, show, grant or refuse");
  const answer = await call("POST", `/approvals/${id}/${verb}`);
  return print(answer, [lineOf(answer)]);
}

function lineOf(value: JsonValue): string {
  const { id, state, server, tool, expires } = isJsonObject(value) ? value : {};
  return `${String(id)}  ${String(state)}  ${String(server)}/${String(tool)}  until ${String(expires)}`;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return isList(value) ? value : [];
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Lists and decides approvals. */
export const approvalsCommand: Command = {
  name: "approvals",
  summary: "calls that wait for an approval at a running gateway: list, show, grant, refuse",
  help: HELP,
  run,
};
