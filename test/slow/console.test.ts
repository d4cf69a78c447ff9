import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatHex } from "../../kernel/hex.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { AuditedLog } from "../support/audited-log.ts";
import { type AuditedNode, startNode } from "../support/audited-node.ts";
import { consoleLog, DENIED_INDEX } from "../support/console-log.ts";
import { ROOT } from "../support/source-files.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const image = (name: string): string => join(ROOT, "docs", "images", `console-${name}.png`);

/** What functions that run inside the page see of it; the program has no browser library. */
interface PageElement {
  readonly textContent: string | null;
  readonly scrollWidth: number;
  readonly getAttribute: (name: string) => string | null;
}
declare const document: {
  readonly documentElement: PageElement;
  readonly querySelector: (selector: string) => PageElement | null;
  readonly querySelectorAll: (selector: string) => { readonly length: number };
};
declare const window: { readonly innerWidth: number };

let log: AuditedLog;
let node: AuditedNode;
let browser: Browser;
let page: Page;
const faults: string[] = [];

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) throw new Error(`this suite needs Chromium at ${CHROMIUM} (or where CHROMIUM says)`);
  log = consoleLog();
  node = await startNode({ main: log, second: new AuditedLog().publish() });
  await node.untilState("main", "FOLLOWING");
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
  page = await browser.newPage({ viewport: { width: 1480, height: 1010 }, colorScheme: "light" });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(`${node.url}/`);
  await page.waitForSelector("#receipts tr");
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await node?.remove();
});

describe("the console in a browser", () => {
  it("shows the witnessed checkpoint and the newest receipts, in pages", async () => {
    expect(await page.locator("#status").textContent()).toContain("3 of 3 cosigned");
    expect(await page.locator("#receipts tr").count()).toBe(25);
    const newest = await page.locator("#receipts tr").first().getAttribute("data-index");
    expect(Number(newest)).toBe(log.entries.length - 1);
    await page.click("#older");
    await page.waitForFunction(
      (index) => document.querySelector("#receipts tr")?.getAttribute("data-index") !== index,
      newest,
    );
    await page.click("#newer");
    await page.waitForFunction(
      (index) => document.querySelector("#receipts tr")?.getAttribute("data-index") === index,
      newest,
    );
  });

  it("filters, and says nothing matches where nothing does", async () => {
    await page.selectOption("#filters select[name=decision]", "DENY");
    await page.waitForFunction(() => document.querySelectorAll("#receipts tr").length < 25);
    expect(await page.locator("#receipts tr").allTextContents()).toEqual(
      expect.arrayContaining([expect.stringContaining("no-deletes")]),
    );
    await page.fill("#filters input[name=tool]", "nothing");
    await page.press("#filters input[name=tool]", "Enter");
    await page.waitForSelector("#empty:not([hidden])");
    await page.click("#filters button[type=reset]");
    await page.waitForFunction(() => document.querySelectorAll("#receipts tr").length === 25);
  });

  it("recomputes the path of a receipt, and the root that it computed is the witnessed one", async () => {
    await page.goto(`${node.url}/#main/${DENIED_INDEX}`);
    await page.reload();
    await page.waitForSelector("#detail .verdict");
    expect(await page.locator("#detail .verdict").textContent()).toContain("Matches the witnessed root");
    const { data } = await node.ask("{ checkpoint { root } }");
    expect(await page.locator("#detail .proof .root").getAttribute("data-hash")).toBe(data.checkpoint.root);
    const leaf = formatHex(hashLeaf(log.entries[DENIED_INDEX] ?? new Uint8Array()));
    expect(
      await page
        .locator("#detail .proof [data-hash]")
        .evaluateAll((nodes) => nodes.map((n) => n.getAttribute("data-hash"))),
    ).toContain(leaf);
    await page.screenshot({ path: image("proof") });
  });

  it("takes its pictures for the documentation", async () => {
    await page.goto(`${node.url}/?list`);
    await page.waitForSelector("#receipts tr");
    await page.screenshot({ path: image("receipts") });
  });

  it("says when a hash was changed on the way: nothing is believed", async () => {
    const context = await browser.newContext();
    const victim = await context.newPage();
    for (const change of ["hashes", "entry"] as const) {
      await victim.route("**/graphql", async (route) => {
        const answer = await route.fetch();
        const body = await answer.json();
        if (body.data?.receipt !== undefined) {
          const { receipt, inclusionProof } = body.data;
          if (change === "entry") receipt.entry = receipt.entry.replace('"seq":', '"seq": ');
          else inclusionProof.hashes[1] = inclusionProof.hashes[0];
        }
        await route.fulfill({ response: answer, json: body });
      });
      await victim.goto(`${node.url}/#main/${DENIED_INDEX}`);
      await victim.reload();
      await victim.waitForSelector("#detail .verdict");
      expect(await victim.locator("#detail .verdict").textContent()).toContain("Does not match");
      await victim.unrouteAll({ behavior: "ignoreErrors" });
    }
    await context.close();
  });

  it("works in dark, on a narrow screen and by keyboard", async () => {
    const context = await browser.newContext({ colorScheme: "dark", viewport: { width: 390, height: 800 } });
    const phone = await context.newPage();
    await phone.goto(`${node.url}/`);
    await phone.waitForSelector("#receipts tr");
    await phone.locator("#receipts tr").first().focus();
    await phone.keyboard.press("Enter");
    await phone.waitForSelector("#detail .verdict.good");
    const overflow = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await context.close();
  });

  it("grows with the log, and shows alarms with their evidence", async () => {
    const count = log.entries.length;
    log.append(new TextEncoder().encode("not a receipt")).publish();
    await page.waitForFunction(() => document.querySelector("#status")?.textContent?.includes("Alarms1"));
    await page.click("#tab-alarms");
    await expect.poll(() => page.locator("#alarms").textContent(), { timeout: 30_000 }).toContain(`entry ${count}`);
    expect(faults).toEqual([]);
  });
});
