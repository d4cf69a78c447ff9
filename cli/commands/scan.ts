/** `countersign scan`: what the gateway's inspection finds in definitions, texts, arguments and names, one question a line. */

import { digestDefinition } from "../../gateway/catalog/digests.ts";
import { findFlows } from "../../gateway/flow/flow-port.ts";
import { readOwnRules } from "../../gateway/inspection/operator-rules.ts";
import {
  type PortAnswer,
  type PortOptions,
  scanName,
  scanText,
  scanTool,
  scanValue,
} from "../../gateway/inspection/scan-port.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { scanJson } from "../../gateway/wire/scan.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { parseHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { array, json, literal, object, optional, readShape, type Shape, string, tagged } from "../../kernel/shape.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readText } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign scan [--rules <file> …] [--phone-region <country>] <file>

Answers questions with the rules of a gateway's inspection (docs/inspection.md), without a gateway: one JSON object in each line of
the file, one answer in each line of the output, under the same id. Nothing else is read. /dev/stdin is a file, too.

  --rules <file>            rules of your own, as in *.rules.json of a policy bundle; may be given more than once
  --phone-region <country>  national telephone numbers of this country too (inspection.phone_region), such as DE
Both are for arguments and results, as in the gateway.

  {"id", "surface": "tool_definition", "tool"}                      a definition as a server lists it
  {"id", "surface": "tool_result", "text"} or {…, "result"}         what a tool returns
  {"id", "surface": "tool_arguments", "arguments"}                  what an agent sends
  {"id", "surface": "name", "name", "approved"?: […]}               a name against those that are approved
      answer: {"id", "verdict": "pass" | "warn" | "block", "findings": [{"rule", "severity", "count", "path", "start"?, "end"?}]}
  {"id", "surface": "json", "hex", "scope"?: "ingress" | "egress", "layer"?: "json" | "rpc"}   bytes of a message
      answer: {"id", "accept": true} or {"id", "accept": false, "code"}
  {"id", "surface": "pin", "text"}                                  the digests by which a catalog pins a definition
      answer: {"id", "model", "full"}
  {"id", "surface": "flow", "steps": [{"server"?, "tool"?, "arguments", "result", "labels"?}]}   calls of one session, in order
      answer: {"id", "matches": [{"from", "to", "path", "kind"}]}: what arguments repeat of earlier results

A line that is no question is answered with {"id"?, "error": <code>}.

Exit: 0 nothing blocks; 1 something blocks or is not accepted; 3 a line is no question, or unusable input.
`;

type Id = { readonly id: string };
type Question =
  | (Id & { readonly surface: "tool_definition"; readonly server?: string; readonly tool: JsonValue })
  | (Id & { readonly surface: "tool_result"; readonly text?: string; readonly result?: JsonValue })
  | (Id & { readonly surface: "tool_arguments"; readonly tool?: string; readonly arguments: JsonValue })
  | (Id & { readonly surface: "name"; readonly name: string; readonly approved?: readonly string[] })
  | (Id & {
      readonly surface: "json";
      readonly hex: string;
      readonly scope?: "ingress" | "egress";
      readonly layer?: "json" | "rpc";
    })
  | (Id & { readonly surface: "pin"; readonly text: string })
  | (Id & { readonly surface: "flow"; readonly steps: readonly Step[] });
/** Server, tool and labels say where a call went; which values it repeats is decided without them. */
interface Step {
  readonly server?: string;
  readonly tool?: string;
  readonly arguments: JsonValue;
  readonly result: JsonValue;
  readonly labels?: readonly string[];
}
type Of<S extends Question["surface"]> = Extract<Question, { readonly surface: S }>;

/** Longest line: twice a message's bytes in hex, and some. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_STEPS = 1000;

const id: Shape<string> = string({ maxLength: 256 });
const text: Shape<string> = string({ maxLength: MAX_LINE_BYTES });

const questionShape: Shape<Question> = tagged("surface", {
  tool_definition: object<Of<"tool_definition">>({
    id,
    surface: literal("tool_definition"),
    server: optional(text),
    tool: json(),
  }),
  tool_result: object<Of<"tool_result">>({
    id,
    surface: literal("tool_result"),
    text: optional(text),
    result: optional(json()),
  }),
  tool_arguments: object<Of<"tool_arguments">>({
    id,
    surface: literal("tool_arguments"),
    tool: optional(text),
    arguments: json(),
  }),
  name: object<Of<"name">>({ id, surface: literal("name"), name: text, approved: optional(array(text)) }),
  json: object<Of<"json">>({
    id,
    surface: literal("json"),
    hex: text,
    scope: optional(literal("ingress", "egress")),
    layer: optional(literal("json", "rpc")),
  }),
  pin: object<Of<"pin">>({ id, surface: literal("pin"), text }),
  flow: object<Of<"flow">>({
    id,
    surface: literal("flow"),
    steps: array(
      object<Step>({
        server: optional(text),
        tool: optional(text),
        arguments: json(),
        result: json(),
        labels: optional(array(text)),
      }),
      { max: MAX_STEPS },
    ),
  }),
});

const OPTIONS = { rules: { type: "string", multiple: true }, "phone-region": { type: "string" } } as const;

/** What inspection is told beside the question. @throws what `readOwnRules` does; {UsageError} */
function optionsOf({ texts, text: textOf }: Arguments): PortOptions {
  const phoneRegion = textOf("phone-region");
  if (phoneRegion !== undefined && !/^[A-Z]{2}$/u.test(phoneRegion)) {
    throw new UsageError("--phone-region wants a country code of two capital letters");
  }
  return {
    ownRules: readOwnRules(texts("rules").map((path) => ({ path, content: readBytes(path) }))),
    ...(phoneRegion === undefined ? {} : { phoneRegion }),
  };
}

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS, 1);
  const [file] = given.positionals;
  if (file === undefined) throw new UsageError("name a file of questions, or /dev/stdin");
  const options = optionsOf(given);
  let exit: number = EXIT.ok;
  for (const line of readText(file).split("\n")) {
    if (line.trim() === "") continue;
    const answer = answerLine(line, options);
    if (answer["error"] !== undefined) exit = EXIT.unusable;
    else if (exit === EXIT.ok && (answer["verdict"] === "block" || answer["accept"] === false)) exit = EXIT.failed;
    io.out(`${JSON.stringify(answer)}\n`);
  }
  return Promise.resolve(exit);
}

/** The answer to a line, whatever stands in it. */
function answerLine(line: string, options: PortOptions): JsonObject {
  let named: JsonObject = {};
  try {
    const question = readShape(
      questionShape,
      parseJson(line, { maxBytes: MAX_LINE_BYTES, numbers: "rounded" }),
      "line",
    );
    named = { id: question.id };
    return { ...named, ...answer(question, options) };
  } catch (error) {
    if (isCodedError(error)) return { ...named, error: error.code };
    throw error;
  }
}

function answer(question: Question, options: PortOptions): JsonObject {
  switch (question.surface) {
    case "tool_definition":
      return found(scanTool(question.tool));
    case "tool_result":
      return found(
        question.text === undefined
          ? scanValue(question.result ?? null, "result", options)
          : scanText(question.text, options),
      );
    case "tool_arguments":
      return found(scanValue(question.arguments, "argument", options));
    case "name":
      return found(scanName(question.name, question.approved ?? []));
    case "json":
      return accepted(question);
    case "pin":
      return { ...digestDefinition("tool", question.text) };
    case "flow":
      return { matches: findFlows(question.steps).map((match) => ({ ...match })) };
  }
}

function found({ verdict, findings }: PortAnswer): JsonObject {
  return { verdict, findings: findings.map((finding) => ({ ...finding })) };
}

/** The strict scan, and behind it that of the message unless only JSON is asked about. */
function accepted({ hex, scope = "ingress", layer = "rpc" }: Of<"json">): JsonObject {
  const read = layer === "json" ? scanJson : readMessage;
  const message = read(parseHex(hex, hex.length / 2), scope, MAX_MESSAGE_BYTES);
  return message.type === "fault" ? { accept: false, code: message.reason } : { accept: true };
}

/** Asks the rules of inspection. */
export const scanCommand: Command = {
  name: "scan",
  summary: "what inspection finds in definitions, texts, arguments and names",
  help: HELP,
  run,
};
