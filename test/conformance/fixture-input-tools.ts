/** Tools and a prompt that return `input_required` (2026-07-28), and the diagnostic tools of that revision. */

import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  type InputRequest,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type McpServer,
  type RequestStateCodec,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { textResult } from "./fixture-content.ts";

/** What changes the surface, told to those who listen. */
export interface FixtureEvents {
  readonly toolsChanged: () => void;
  readonly promptsChanged: () => void;
}

/** What the state of a round holds. */
export interface RoundState {
  readonly step: number;
}

type Codec = RequestStateCodec<RoundState>;

function ask(message: string, key: string, type: "string" | "boolean" = "string"): InputRequest {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: "object",
      properties: { [key]: type === "string" ? { type } : { type } },
      required: [key],
    },
  });
}

function sample(text: string, maxTokens: number): InputRequest {
  return inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text } }], maxTokens });
}

/** The accepted text of an elicitation; undefined if it is not there or of another kind. */
function textOf(ctx: ServerContext, key: string, member: string): string | undefined {
  const value = acceptedContent(ctx.mcpReq.inputResponses, key)?.[member];
  return typeof value === "string" ? value : undefined;
}

function isAccepted(ctx: ServerContext, key: string): boolean {
  return acceptedContent(ctx.mcpReq.inputResponses, key) !== undefined;
}

/** Registers them. */
export function registerInputTools(server: McpServer, codec: Codec, events: FixtureEvents): void {
  registerSingleInputs(server);
  registerStates(server, codec);
  registerMany(server, codec);
  registerDiagnostics(server, events);
  server.registerPrompt("test_input_required_result_prompt", { description: "Asks for context" }, (ctx) => {
    const context = textOf(ctx, "user_context", "context");
    if (context === undefined) {
      const user_context = ask("What context should the prompt use?", "context");
      return inputRequired({ inputRequests: { user_context } });
    }
    return { messages: [{ role: "user", content: { type: "text", text: `Context: ${context}` } }] };
  });
}

function registerSingleInputs(server: McpServer): void {
  server.registerTool("test_input_required_result_elicitation", { description: "Asks a name" }, (ctx) => {
    const name = textOf(ctx, "user_name", "name");
    if (name !== undefined) return textResult(`Hello, ${name}!`);
    return inputRequired({ inputRequests: { user_name: ask("What is your name?", "name") } });
  });
  server.registerTool("test_input_required_result_sampling", { description: "Asks a model" }, (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, "capital_question");
    if (answer.kind === "sampling") return textResult(JSON.stringify(answer.result.content));
    return inputRequired({ inputRequests: { capital_question: sample("What is the capital of France?", 100) } });
  });
  server.registerTool("test_input_required_result_list_roots", { description: "Asks for roots" }, (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, "client_roots");
    if (answer.kind === "roots") return textResult(answer.roots.map(({ uri }) => uri).join(", "));
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  });
}

function registerStates(server: McpServer, codec: Codec): void {
  for (const name of ["test_input_required_result_request_state", "test_input_required_result_tampered_state"]) {
    server.registerTool(name, { description: "Keeps a state" }, async (ctx) => {
      if (isAccepted(ctx, "confirm") && ctx.mcpReq.requestState<RoundState>()?.step === 1)
        return textResult("state-ok");
      const requestState = await codec.mint({ step: 1 }, ctx);
      return inputRequired({ inputRequests: { confirm: ask("Please confirm", "ok", "boolean") }, requestState });
    });
  }
}

function registerMany(server: McpServer, codec: Codec): void {
  server.registerTool("test_input_required_result_multiple_inputs", { description: "Asks everything" }, async (ctx) => {
    const kinds = ["user_name", "greeting", "client_roots"].map(
      (key) => inputResponse(ctx.mcpReq.inputResponses, key).kind,
    );
    if (kinds.join() === "elicit,sampling,roots") return textResult("Everything was answered");
    const user_name = ask("What is your name?", "name");
    const inputRequests = {
      user_name,
      greeting: sample("Generate a greeting", 50),
      client_roots: inputRequired.listRoots(),
    };
    return inputRequired({ inputRequests, requestState: await codec.mint({ step: 1 }, ctx) });
  });
  server.registerTool("test_input_required_result_multi_round", { description: "Asks twice" }, async (ctx) => {
    const step = ctx.mcpReq.requestState<RoundState>()?.step ?? 0;
    if (step === 2 && isAccepted(ctx, "step2")) return textResult("Both steps are done");
    if (step >= 1 && isAccepted(ctx, "step1")) {
      const step2 = ask("Step 2: What is your favorite color?", "color");
      return inputRequired({ inputRequests: { step2 }, requestState: await codec.mint({ step: 2 }, ctx) });
    }
    const step1 = ask("Step 1: What is your name?", "name");
    return inputRequired({ inputRequests: { step1 }, requestState: await codec.mint({ step: 1 }, ctx) });
  });
  server.registerTool("test_input_required_result_capabilities", { description: "Asks what is declared" }, (ctx) => {
    const declared = capabilitiesOf(ctx);
    return askDeclared(declared);
  });
}

function askDeclared(declared: ClientCapabilities): InputRequiredResult {
  return inputRequired({
    inputRequests: {
      ...(declared.elicitation === undefined ? {} : { user_name: ask("What is your name?", "name") }),
      ...(declared.sampling === undefined ? {} : { greeting: sample("Generate a greeting", 50) }),
      ...(declared.roots === undefined ? {} : { client_roots: inputRequired.listRoots() }),
    },
  });
}

function capabilitiesOf({ mcpReq }: ServerContext): ClientCapabilities {
  const envelope: Readonly<Record<string, ClientCapabilities | undefined>> = { ...mcpReq.envelope };
  return envelope[CLIENT_CAPABILITIES_META_KEY] ?? {};
}

function registerDiagnostics(server: McpServer, events: FixtureEvents): void {
  server.registerTool("test_missing_capability", { description: "Needs sampling" }, (ctx) => {
    if (capabilitiesOf(ctx).sampling !== undefined) return textResult("sampling is declared");
    // The SDK answers -32021 for a request that the client cannot take.
    return inputRequired({ inputRequests: { greeting: sample("Generate a greeting", 50) } });
  });
  server.registerTool("test_streaming_elicitation", { description: "Asks on its stream" }, (ctx) =>
    isAccepted(ctx, "user_name")
      ? textResult("answered")
      : inputRequired({ inputRequests: { user_name: ask("What is your name?", "name") } }),
  );
  server.registerTool("test_logging_tool", { description: "Logs if it may" }, async (ctx) => {
    await ctx.mcpReq.log("info", "a line of the log");
    return textResult("logged");
  });
  server.registerTool("test_trigger_tool_change", { description: "Says that the tools changed" }, () => {
    events.toolsChanged();
    return textResult("changed");
  });
  server.registerTool("test_trigger_prompt_change", { description: "Says that the prompts changed" }, () => {
    events.promptsChanged();
    return textResult("changed");
  });
}
