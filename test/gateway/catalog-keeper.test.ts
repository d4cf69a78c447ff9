import { describe, expect, it } from "vitest";
import { type ListedServer, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { CatalogKeeper } from "../../gateway/catalog/catalog-keeper.ts";

/** A server's listing, and how often its tools have been read. */
function listing(id: string, description: string): { readonly server: ListedServer; readonly reads: () => number } {
  let reads = 0;
  const surface = {
    serverInfo: null,
    capabilities: { tools: {} },
    get tools() {
      reads += 1;
      return [JSON.stringify({ name: "t", description, inputSchema: { type: "object" } })];
    },
    prompts: [],
    resources: [],
    resourceTemplates: [],
  };
  const identity = { kind: "http", url: `http://${id}.example/mcp` } as const;
  return { server: { id, identity, attributes: {}, surface }, reads: () => reads };
}

describe("a new listing of one server", () => {
  it("is compared with what is approved, and what others listed is not digested again for it", () => {
    const [large, small] = [listing("large", "much"), listing("small", "little")];
    const file = pinFirstUse([large.server, small.server]);
    const keeper = new CatalogKeeper(file, [large.server, small.server], 0);
    const before = large.reads();
    for (const description of ["less", "little", "least"]) {
      keeper.update(listing("small", description).server, 1);
      const state = description === "little" ? "first-use" : "changed";
      expect(keeper.current().find("small", "tools", "t")?.state).toBe(state);
    }
    expect(large.reads()).toBe(before);
    expect(keeper.current().find("large", "tools", "t")?.state).toBe("first-use");
  });
});
