import { describe, expect, it } from "vitest";
import { cannotListen, listenOn } from "../../kernel/service/listen.ts";

const refusing = (cause: Error) => ({ listen: () => Promise.reject(cause) });

describe("an address that cannot be listened on", () => {
  it.each(["EADDRINUSE", "EACCES", "EADDRNOTAVAIL", "ENOTFOUND", "ESOMETHING"])(
    "is a fault of the start: %s",
    async (code) => {
      const cause = Object.assign(new Error(`listen ${code}`), { code });
      const started = listenOn(refusing(cause), "listen", { host: "127.0.0.1", port: 4200 });
      await expect(started).rejects.toMatchObject({ code: "ERR_SERVICE_START", cause });
      expect(cannotListen("operator_listen", { host: "::1", port: 7 }, cause).message).toContain("operator_listen: ");
      expect(cannotListen("operator_listen", { host: "::1", port: 7 }, cause).message).toContain("[::1]:7");
      expect(cannotListen("listen", { host: "a", port: 7 }, cause).message).toContain(code);
    },
  );

  it("is one without a code of the system, too", async () => {
    await expect(listenOn(refusing(new Error("broken")), "listen", { host: "a", port: 1 })).rejects.toMatchObject({
      code: "ERR_SERVICE_START",
    });
  });

  it("is no matter of one that can be", async () => {
    const free = {
      listen: ({ host, port }: { host: string; port: number }) => Promise.resolve(`http://${host}:${port}`),
    };
    expect(await listenOn(free, "listen", { host: "127.0.0.1", port: 4200 })).toBe("http://127.0.0.1:4200");
  });
});
