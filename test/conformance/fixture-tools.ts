/** Tools of both eras: content of every kind, progress, a failure, schemas that must survive, a mirrored argument. */

import { fromJsonSchema, type McpServer } from "@modelcontextprotocol/server";
import { PNG, pause, textResult, WAV } from "./fixture-content.ts";

const SCHEMA_2020 = fromJsonSchema<Record<string, unknown>>({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
});

/** Not a keyword of JSON Schema: MCP's own (SEP-2243). */
const REGION = { type: "string", "x-mcp-header": "Region" } as const;
const MIRRORED = fromJsonSchema<{ region: string }>({
  type: "object",
  properties: { region: REGION },
  required: ["region"],
});

/** Registers them. */
export function registerTools(server: McpServer): void {
  registerContentTools(server);
  server.registerTool("test_error_handling", { description: "Fails" }, () => ({
    ...textResult("This tool intentionally returns an error for testing"),
    isError: true,
  }));
  server.registerTool("test_tool_with_progress", { description: "Reports progress" }, async (ctx) => {
    const token = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await pause(50);
      if (token === undefined) continue;
      await ctx.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken: token, progress, total: 100 },
      });
    }
    return textResult("Progress was reported");
  });
  server.registerTool(
    "json_schema_2020_12_tool",
    { description: "Tool with JSON Schema 2020-12 features", inputSchema: SCHEMA_2020 },
    () => textResult("ok"),
  );
  server.registerTool(
    "test_x_mcp_header",
    { description: "Its argument is mirrored in a header", inputSchema: MIRRORED },
    ({ region }) => textResult(`region ${region}`),
  );
}

function registerContentTools(server: McpServer): void {
  server.registerTool("test_simple_text", { description: "A text" }, () =>
    textResult("This is a simple text response for testing."),
  );
  server.registerTool("test_image_content", { description: "A picture" }, () => ({
    content: [{ type: "image", data: PNG, mimeType: "image/png" }],
  }));
  server.registerTool("test_audio_content", { description: "A sound" }, () => ({
    content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }],
  }));
  server.registerTool("test_embedded_resource", { description: "A resource inside a result" }, () => ({
    content: [
      {
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      },
    ],
  }));
  server.registerTool("test_multiple_content_types", { description: "A text, a picture and a resource" }, () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      { type: "image", data: PNG, mimeType: "image/png" },
      {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      },
    ],
  }));
}
