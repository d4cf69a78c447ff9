import { describe, expect, it } from "vitest";
import { commitMessage } from "../../gateway/pipeline/commitments.ts";
import { MessageEdits } from "../../gateway/wire/message-edits.ts";
import { messageValue } from "../../gateway/wire/message-value.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";

const secret = new Uint8Array(32).fill(5);
const text = '{"jsonrpc":"2.0","id":7,"params":{"name":"echo","arguments":{"b":[1,{}],"a":"é"},"_meta":{"x/y":null}}}';

/** What the gateway makes of a message. */
function edited(change: (edits: MessageEdits) => void): Uint8Array {
  const { text: read } = messageValue(formatUtf8(text));
  const edits = new MessageEdits(read);
  change(edits);
  return edits.format(false);
}

describe("a commitment to a message", () => {
  const messages: readonly (Uint8Array | undefined)[] = [
    undefined,
    formatUtf8(text),
    edited((edits) => edits.replace(["id"], '"other"')),
    edited((edits) => edits.setMembers(["params", "_meta"], { "x/y": "1", z: "2" }, () => false)),
    edited((edits) => edits.remove(["params"], "_meta")),
    formatUtf8("no JSON"),
    formatUtf8('{"id":12345678901234567890}'),
    formatUtf8(`"${"x".repeat(64 * 1024)}"`),
    formatUtf8(JSON.stringify(Array.from({ length: 5000 }, () => 0))),
  ];

  it("that the gateway made is one to its bytes as anybody reads them", () => {
    for (const message of messages) {
      const again = commitMessage(secret, "request_sent", message?.slice());
      expect(commitMessage(secret, "request_sent", message)).toEqual(again);
    }
  });

  it("says by its scheme whether there are fields", () => {
    const schemes = messages.map((message) => {
      const field = commitMessage(secret, "request_sent", message);
      return field.state === "present" ? field.value.scheme.split("/")[1] : field.state;
    });
    expect(schemes).toEqual(["absent", "fields", "fields", "fields", "fields", "bytes", "bytes", "bytes", "bytes"]);
  });
});
