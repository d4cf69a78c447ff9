/** Resources, prompts, completions and subscriptions of the fixture server. */

import { fromJsonSchema, type McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { PNG } from "./fixture-content.ts";

const TWO = fromJsonSchema<{ arg1: string; arg2: string }>({
  type: "object",
  properties: {
    arg1: { type: "string", description: "First test argument" },
    arg2: { type: "string", description: "Second test argument" },
  },
  required: ["arg1", "arg2"],
});
const ONE_URI = fromJsonSchema<{ resourceUri: string }>({
  type: "object",
  properties: { resourceUri: { type: "string", description: "URI of the resource to embed" } },
  required: ["resourceUri"],
});

/** Registers resources. */
export function registerResources(server: McpServer): void {
  server.registerResource("static-text", "test://static-text", { mimeType: "text/plain" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "text/plain", text: "This is the content of the static text resource." }],
  }));
  server.registerResource("static-binary", "test://static-binary", { mimeType: "image/png" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "image/png", blob: PNG }],
  }));
  server.registerResource("watched-resource", "test://watched-resource", { mimeType: "text/plain" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "text/plain", text: "watched" }],
  }));
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource("template", template, { mimeType: "application/json" }, ({ href }, { id }) => {
    const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` });
    return { contents: [{ uri: href, mimeType: "application/json", text }] };
  });
}

/** Registers prompts. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "A simple prompt" }, () => ({
    messages: [{ role: "user", content: { type: "text", text: "This is a simple prompt for testing." } }],
  }));
  server.registerPrompt("test_prompt_with_arguments", { description: "Two arguments", argsSchema: TWO }, (args) => {
    const text = `Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`;
    return { messages: [{ role: "user", content: { type: "text", text } }] };
  });
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A resource inside a prompt", argsSchema: ONE_URI },
    ({ resourceUri }) => {
      const resource = { uri: resourceUri, mimeType: "text/plain", text: "Embedded resource content for testing." };
      return {
        messages: [
          { role: "user", content: { type: "resource", resource } },
          { role: "user", content: { type: "text", text: "Please process the embedded resource above." } },
        ],
      };
    },
  );
  server.registerPrompt("test_prompt_with_image", { description: "A picture inside a prompt" }, () => ({
    messages: [
      { role: "user", content: { type: "image", data: PNG, mimeType: "image/png" } },
      { role: "user", content: { type: "text", text: "Please analyze the image above." } },
    ],
  }));
}

/** Answers completions and, in a session, subscriptions. */
export function registerRest(server: McpServer, isSession: boolean): void {
  server.server.setRequestHandler("completion/complete", ({ params }) => {
    const values = ["paris", "park", "party"].filter((value) => value.startsWith(params.argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  });
  if (!isSession) return;
  server.server.setRequestHandler("resources/subscribe", () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", () => ({}));
}
