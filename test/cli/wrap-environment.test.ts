import { describe, expect, it } from "vitest";
import { readEnvironment, splitWords } from "../../cli/commands/wrap.ts";

const HOST = { PATH: "/bin", GITHUB_TOKEN: "secret", OTHER: "x", EMPTY: "", GONE: undefined };

function given(env: string | undefined, inherit = false): Record<string, string> {
  return readEnvironment({ text: () => env, flag: () => inherit }, HOST);
}

describe("the environment of a wrapped server", () => {
  it("holds nothing of the host's but what is named", () => {
    expect(given(undefined)).toEqual({});
    expect(given("GITHUB_TOKEN,EMPTY")).toEqual({ GITHUB_TOKEN: "secret", EMPTY: "" });
  });

  it("is all of the host's if that is asked for", () => {
    expect(given(undefined, true)).toEqual({ PATH: "/bin", GITHUB_TOKEN: "secret", OTHER: "x", EMPTY: "" });
  });

  it.each(["GONE", "NEVER", "", "A,,B", "A=B", "A B"])("is refused for the name %j", (names) => {
    expect(() => given(names)).toThrow("--env");
  });
});

describe("a command in one text", () => {
  it.each([
    ["npx -y server@1.2.3", ["npx", "-y", "server@1.2.3"]],
    ["  a  'b c' \"d \\\" e\" f\\ g ''  ", ["a", "b c", 'd " e', "f g", ""]],
    [`x'y'"z"`, ["xyz"]],
    ["", []],
  ])("%j is these words", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });

  it.each(["'open", '"open', "end\\", "a'b"])("%j is refused", (line) => {
    expect(() => splitWords(line)).toThrow("not closed");
  });
});
