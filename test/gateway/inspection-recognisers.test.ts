/** Recognisers of secrets and personal data: what each finds, its near misses, and places that can be taken out. */

import { describe, expect, it } from "vitest";
import { findSensitive } from "../../gateway/inspection/sensitive.ts";

/** Rules and the texts at their places. */
function found(text: string, context: Parameters<typeof findSensitive>[1] = {}): readonly string[] {
  return findSensitive(text, context).map(({ rule, start, end }) => `${rule} ${text.slice(start, end)}`);
}

const CARD = "4787789328792170";

describe("personal data", () => {
  it.each([
    ["a remote of git", "git@github.com:owner/name"],
    ["a picture for dense screens", "logo@2x.png"],
    ["a package with its version", "ajv@8.20.0"],
    ["a user in a URL", "https://app@db.example.org/x"],
    ["a handle in a URL", "https://social.example.org/@ann@other.example.org"],
    ["a card inside a longer number", `9${CARD}9`],
    ["a card with a wrong group", "47877893 28792170"],
    ["a network mask", "255.255.255.0"],
    ["a link-local address", "fe80::1:2:3"],
    ["a path with two colons", "a::b"],
    ["the version of a browser", "Chrome/120.0.0.0"],
    ["nine digits without a name", "078051120"],
  ])("%s is none", (_name, text) => {
    expect(found(text)).toEqual([]);
  });

  it("is found at its place, each place under one rule", () => {
    expect(found(`cards ${CARD} and 5581-0033-9075-7938`)).toEqual([
      `pii.card ${CARD}`,
      "pii.card 5581-0033-9075-7938",
    ]);
    expect(found("ann@example.org, GB58WEST91614610033076")).toEqual([
      "pii.email ann@example.org",
      "pii.iban GB58WEST91614610033076",
    ]);
  });

  it.each([
    "https://collect.example.net/?to=ann@example.org&x=1",
    "https://collect.example.net/p/ann@example.org",
    "https://collect.example.net#ann@example.org",
    "https://app@collect.example.net/?u=https://x.example.net/&to=ann@example.org",
  ])("is found behind the host of %s", (text) => {
    expect(found(text)).toEqual(["pii.email ann@example.org"]);
  });

  it("needs less where a name says what the value is: in members, in pairs, in columns", () => {
    expect(found("078051120", { key: "ssn" })).toEqual(["pii.us_ssn 078051120"]);
    expect(found('{"socialSecurity": "078051120"}')).toEqual(["pii.us_ssn 078051120"]);
    expect(found("name,ssn\nann,078051120\n")).toEqual(["pii.us_ssn 078051120"]);
    expect(found("phone: 0490 75 40 81")).toEqual(["pii.phone 0490 75 40 81"]);
    expect(found("0490 754081", { key: "phone" })).toEqual(["pii.phone 0490 754081"]);
    expect(found("dob=1990-01-01")).toEqual(["pii.hint 1990-01-01"]);
  });

  it("has national telephone numbers where a region is configured", () => {
    expect(found("call 0490 75 40 81")).toEqual([]);
    expect(found("call 0490 75 40 81", { phoneRegion: "BE" })).toEqual(["pii.phone 0490 75 40 81"]);
  });
});

describe("secrets", () => {
  const random = "ndrzghi5SsxFsOypvRPAwKS8dwVzD7RcYQw7gIHF";

  it.each([
    ["a commit", `commit=${"c06e007865946898e5bfd36c693030942b9dba03"}`],
    ["a cursor", `next_page_token=${random}`],
    ["a digest", `key_sha256=${random}`],
    ["a placeholder", "api_key=your-api-key-goes-here-your-api-key-goes"],
    ["a URL that shows where the password goes", "postgres://user:<password>@db/x"],
  ])("%s is none", (_name, text) => {
    expect(found(text)).toEqual([]);
  });

  it("of AWS are told from other random values by their name", () => {
    expect(found(`aws_secret_access_key = ${random}`)).toEqual([`secret.aws-secret ${random}`]);
    expect(found(`clientSecret: ${random}`)).toEqual([`secret.high-entropy ${random}`]);
  });

  it("are whole: a key to the end of its block, a password without its URL", () => {
    const block = `-----BEGIN RSA PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQ".repeat(4)}\n-----END RSA PRIVATE KEY-----`;
    expect(found(`x ${block} y`)).toEqual([`secret.private-key ${block}`]);
    expect(found("amqp://app:s3cr3t-Value9@mq.example.org")).toEqual(["secret.url-credentials s3cr3t-Value9"]);
  });
});

describe("a secret of letters alone", () => {
  const body = "QmXrTzKpWvLsHdNbYcJgFaUeQiRoPkMx";
  it.each([
    ["a key of AWS", "AKIAQXRTZKPWVLSHDNBY", "secret.aws-access-key"],
    ["a key of Stripe", `sk_${"live"}_${body}`, "secret.stripe-key"],
    ["a token of GitLab", `glpat-${body}`, "secret.gitlab-token"],
    [
      "a private key",
      `-----BEGIN ${"PRIVATE"} KEY-----\n${body}\n-----END ${"PRIVATE"} KEY-----`,
      "secret.private-key",
    ],
  ])("is found: %s", (_name, secret, rule) => {
    expect(found(`use ${secret} here`)).toEqual([`${rule} ${secret}`]);
  });
});
