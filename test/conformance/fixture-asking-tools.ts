/** Tools that use what only a legacy session has: log messages, requests of the server, a stream that it closes. */

import { type ElicitRequestFormParams, fromJsonSchema, type McpServer } from "@modelcontextprotocol/server";
import { pause, textResult } from "./fixture-content.ts";

const PROMPT = fromJsonSchema<{ prompt: string }>({
  type: "object",
  properties: { prompt: { type: "string" } },
  required: ["prompt"],
});
const MESSAGE = fromJsonSchema<{ message: string }>({
  type: "object",
  properties: { message: { type: "string" } },
  required: ["message"],
});

type Requested = ElicitRequestFormParams["requestedSchema"];

const USER: Requested = {
  type: "object",
  properties: {
    username: { type: "string", description: "User's response" },
    email: { type: "string", description: "User's email address" },
  },
  required: ["username", "email"],
};

/** SEP-1034: a default of each kind. */
const DEFAULTS: Requested = {
  type: "object",
  properties: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
  required: [],
};

/** SEP-1330: the five forms of an enumeration. */
const ENUMS: Requested = {
  type: "object",
  properties: {
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    titledSingle: {
      type: "string",
      oneOf: [
        { const: "value1", title: "First Option" },
        { const: "value2", title: "Second Option" },
        { const: "value3", title: "Third Option" },
      ],
    },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
    titledMulti: {
      type: "array",
      items: {
        anyOf: [
          { const: "value1", title: "First Choice" },
          { const: "value2", title: "Second Choice" },
          { const: "value3", title: "Third Choice" },
        ],
      },
    },
  },
  required: [],
};

/** Registers them. */
export function registerAskingTools(server: McpServer): void {
  server.registerTool("test_tool_with_logging", { description: "Logs while it runs" }, async (ctx) => {
    await ctx.mcpReq.log("info", "Tool execution started");
    await pause(50);
    await ctx.mcpReq.log("info", "Tool processing data");
    await pause(50);
    await ctx.mcpReq.log("info", "Tool execution completed");
    return textResult("Logged three times");
  });
  server.registerTool("test_reconnection", { description: "Closes its stream" }, async (ctx) => {
    ctx.http?.closeSSE?.();
    await pause(100);
    return textResult("Reconnection test completed successfully");
  });
  registerSampling(server);
  registerElicitation(server);
}

function registerSampling(server: McpServer): void {
  server.registerTool(
    "test_sampling",
    { description: "Asks the model", inputSchema: PROMPT },
    async ({ prompt }, ctx) => {
      const { content } = await ctx.mcpReq.requestSampling({
        messages: [{ role: "user", content: { type: "text", text: prompt } }],
        maxTokens: 100,
      });
      const [first] = Array.isArray(content) ? content : [content];
      return textResult(`LLM response: ${first?.type === "text" ? first.text : "no text"}`);
    },
  );
}

function registerElicitation(server: McpServer): void {
  const ask = (name: string, message: string, requestedSchema: Requested): void => {
    server.registerTool(name, { description: message }, async (ctx) => {
      const { action, content } = await ctx.mcpReq.elicitInput({ message, requestedSchema });
      return textResult(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
    });
  };
  server.registerTool(
    "test_elicitation",
    { description: "Asks the user", inputSchema: MESSAGE },
    async ({ message }, ctx) => {
      const { action, content } = await ctx.mcpReq.elicitInput({ message, requestedSchema: USER });
      return textResult(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`);
    },
  );
  ask("test_elicitation_sep1034_defaults", "Please review the defaults", DEFAULTS);
  ask("test_elicitation_sep1330_enums", "Please choose", ENUMS);
}
