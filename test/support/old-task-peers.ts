/**
 * The official SDK's 1.x server and client with experimental tasks (MCP 2025-11-25), by the part of them that tests use. Both
 * are loaded by names that the compiler does not follow, as the 1.x client is (mcp-old-client.ts).
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

const PACKAGE: string = "@modelcontextprotocol/sdk";

/** A task as either peer states it. */
export interface OldTask {
  readonly taskId: string;
  readonly status: string;
  readonly ttl: number | null;
}

type Result = Readonly<Record<string, unknown>>;

interface Store {
  readonly createTask: (options: object) => Promise<OldTask>;
  readonly getTask: (id: string) => Promise<OldTask>;
  readonly getTaskResult: (id: string) => Promise<Result>;
  readonly storeTaskResult: (id: string, status: string, result: object) => Promise<void>;
  readonly updateTaskStatus: (id: string, status: string) => Promise<void>;
}

interface Extra {
  readonly taskId: string;
  readonly taskStore: Store;
  readonly sendRequest: (request: object, schema: object, options: object) => Promise<Result>;
}

interface Server {
  readonly experimental: {
    readonly tasks: { readonly registerToolTask: (name: string, config: object, handler: object) => void };
  };
  readonly connect: (transport: object) => Promise<void>;
}

interface Transport {
  readonly handleRequest: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

interface ServerModules {
  readonly McpServer: new (info: object, options: object) => Server;
  readonly StreamableHTTPServerTransport: new (options: object) => Transport;
  readonly InMemoryTaskStore: new () => object;
  readonly InMemoryTaskMessageQueue: new () => object;
  readonly ElicitResultSchema: object;
}

async function loadServer(): Promise<ServerModules> {
  const parts = ["server/mcp.js", "server/streamableHttp.js", "experimental/tasks/index.js", "types.js"];
  const modules: readonly object[] = await Promise.all(parts.map(async (part) => import(`${PACKAGE}/${part}`)));
  return Object.assign({}, ...modules);
}

/** A running server whose tool `work` is a task: `wait` never ends, `fail` fails, `ask` asks the agent's user first, `must` is a task only. */
export interface OldTaskServer {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Starts one; each of its sessions has tasks of its own. */
export async function startOldTaskServer(): Promise<OldTaskServer> {
  const sdk = await loadServer();
  const sessions = new Map<string, Transport>();
  const server = createServer((request, response) => void serve(sdk, sessions, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(
  sdk: ServerModules,
  sessions: Map<string, Transport>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const id = request.headers["mcp-session-id"];
  const known = typeof id === "string" ? sessions.get(id) : undefined;
  const transport =
    known ??
    new sdk.StreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (sessionId: string) => void sessions.set(sessionId, transport),
    });
  if (known === undefined) await makeServer(sdk).connect(transport);
  await transport.handleRequest(request, response);
}

const TASKS = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

function makeServer({
  McpServer,
  InMemoryTaskStore,
  InMemoryTaskMessageQueue,
  ElicitResultSchema,
}: ServerModules): Server {
  const options = {
    capabilities: { tools: {}, tasks: TASKS },
    taskStore: new InMemoryTaskStore(),
    taskMessageQueue: new InMemoryTaskMessageQueue(),
  };
  const server = new McpServer({ name: "old", version: "1" }, options);
  const config = { description: "Works.", execution: { taskSupport: "optional" } };
  for (const name of ["work", "wait", "fail", "ask", "must"]) {
    const only = name === "must" ? { execution: { taskSupport: "required" } } : {};
    server.experimental.tasks.registerToolTask(
      name,
      { ...config, ...only },
      {
        createTask: (extra: Extra) => begin(extra, name, ElicitResultSchema),
        getTask: ({ taskId, taskStore }: Extra) => taskStore.getTask(taskId),
        getTaskResult: ({ taskId, taskStore }: Extra) => taskStore.getTaskResult(taskId),
      },
    );
  }
  return server;
}

async function begin(extra: Extra, name: string, schema: object): Promise<object> {
  const task = await extra.taskStore.createTask({ ttl: 60_000, pollInterval: 10 });
  void work(extra, task.taskId, schema, name);
  return { task };
}

async function work({ taskStore, sendRequest }: Extra, taskId: string, schema: object, name: string): Promise<void> {
  if (name === "wait") return;
  let text = "worked";
  if (name === "ask") {
    await taskStore.updateTaskStatus(taskId, "input_required");
    const params = { message: "Who?", requestedSchema: { type: "object", properties: { who: { type: "string" } } } };
    const answer = await sendRequest({ method: "elicitation/create", params }, schema, { relatedTask: { taskId } });
    text = JSON.stringify(answer);
    await taskStore.updateTaskStatus(taskId, "working");
  }
  const isFailed = name === "fail";
  const result = { content: [{ type: "text", text }], ...(isFailed ? { isError: true } : {}) };
  await taskStore.storeTaskResult(taskId, isFailed ? "failed" : "completed", result);
}

/** A connected 1.x client that takes tasks. */
export interface OldTaskClient {
  /** What it was told of tasks unasked, in order. */
  readonly statuses: readonly OldTask[];
  readonly capabilities: Result;
  /** Everything that a call as a task yields: `taskCreated`, `taskStatus`…, then `result` or `error`. */
  readonly call: (name: string) => Promise<readonly (Result & { readonly type: string; readonly task?: OldTask })[]>;
  /** Calls a tool, and not as a task. */
  readonly plain: (name: string) => Promise<Result>;
  /** Makes a task, and does not wait for its end. */
  readonly begin: (name: string) => Promise<OldTask>;
  readonly get: (id: string) => Promise<OldTask>;
  readonly result: (id: string) => Promise<Result>;
  readonly list: () => Promise<readonly OldTask[]>;
  readonly cancel: (id: string) => Promise<OldTask>;
  readonly terminate: () => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Client {
  readonly connect: (transport: object) => Promise<void>;
  readonly close: () => Promise<void>;
  readonly getServerCapabilities: () => Result;
  readonly listTools: () => Promise<object>;
  readonly callTool: (call: object) => Promise<Result>;
  readonly setRequestHandler: (schema: object, handler: () => object) => void;
  readonly setNotificationHandler: (schema: object, handler: (notice: { readonly params: OldTask }) => void) => void;
  readonly experimental: {
    readonly tasks: {
      readonly callToolStream: (
        call: object,
        schema: undefined,
        options: object,
      ) => AsyncGenerator<Result & { readonly type: string; readonly task?: OldTask }>;
      readonly getTask: (id: string) => Promise<OldTask>;
      readonly getTaskResult: (id: string, schema: object) => Promise<Result>;
      readonly listTasks: () => Promise<{ readonly tasks: readonly OldTask[] }>;
      readonly cancelTask: (id: string) => Promise<OldTask>;
    };
  };
}

interface ClientModules {
  readonly Client: new (info: object, options: object) => Client;
  readonly StreamableHTTPClientTransport: new (
    url: URL,
    options: object,
  ) => { readonly terminateSession: () => Promise<void> };
  readonly ElicitRequestSchema: object;
  readonly CallToolResultSchema: object;
  readonly TaskStatusNotificationSchema: object;
}

/** Connects one that answers every elicitation. */
export async function connectOldTaskClient(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<OldTaskClient> {
  const parts = ["client/index.js", "client/streamableHttp.js", "types.js"];
  const modules: readonly object[] = await Promise.all(parts.map(async (part) => import(`${PACKAGE}/${part}`)));
  const sdk: ClientModules = Object.assign({}, ...modules);
  const client = new sdk.Client({ name: "old-agent", version: "1" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(sdk.ElicitRequestSchema, () => ({ action: "accept", content: { who: "Ada" } }));
  const statuses: OldTask[] = [];
  client.setNotificationHandler(sdk.TaskStatusNotificationSchema, ({ params }) => void statuses.push(params));
  const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  // The client knows from the list which tools are tasks.
  await client.listTools();
  const { tasks } = client.experimental;
  const stream = (name: string): ReturnType<typeof tasks.callToolStream> =>
    tasks.callToolStream({ name, arguments: {} }, undefined, { task: { ttl: 60_000 } });
  return {
    statuses,
    capabilities: client.getServerCapabilities(),
    call: async (name) => {
      const seen = [];
      for await (const message of stream(name)) seen.push(message);
      return seen;
    },
    begin: async (name) => {
      for await (const { task, type } of stream(name)) if (type === "taskCreated" && task !== undefined) return task;
      throw new Error("no task was made");
    },
    plain: (name) => client.callTool({ name, arguments: {} }),
    get: (id) => tasks.getTask(id),
    result: (id) => tasks.getTaskResult(id, sdk.CallToolResultSchema),
    list: async () => (await tasks.listTasks()).tasks,
    cancel: (id) => tasks.cancelTask(id),
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}
