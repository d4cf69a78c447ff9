/**
 * The official SDK's 1.x client, by the part of it that tests use. It is loaded by a name that the compiler does not
 * follow: the package's own sources would bring the types of browsers into every file of ours.
 */

/** A connected 1.x client. */
export interface OldClient {
  readonly sessionId: string | undefined;
  readonly toolNames: () => Promise<readonly string[]>;
  readonly call: (name: string, args: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>;
  readonly terminate: () => Promise<void>;
  readonly close: () => Promise<void>;
}

interface ClientModule {
  readonly Client: new (info: {
    name: string;
    version: string;
  }) => {
    connect: (transport: object) => Promise<void>;
    listTools: () => Promise<{ tools: readonly { name: string }[] }>;
    callTool: (call: object) => Promise<Readonly<Record<string, unknown>>>;
    close: () => Promise<void>;
  };
}

interface TransportModule {
  readonly StreamableHTTPClientTransport: new (
    url: URL,
    options: object,
  ) => {
    sessionId?: string;
    terminateSession: () => Promise<void>;
  };
}

const PACKAGE: string = "@modelcontextprotocol/sdk";

/** Connects one over Streamable HTTP. */
export async function connectOldClient(url: string, headers: Readonly<Record<string, string>>): Promise<OldClient> {
  const { Client }: ClientModule = await import(`${PACKAGE}/client/index.js`);
  const { StreamableHTTPClientTransport }: TransportModule = await import(`${PACKAGE}/client/streamableHttp.js`);
  const client = new Client({ name: "old-agent", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    sessionId: transport.sessionId,
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args) => client.callTool({ name, arguments: args }),
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}
