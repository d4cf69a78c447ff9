/** The operators' page in a browser: nothing without a token, exact arguments, a decision that lets one call through. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway } from "../../gateway/start.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callTool } from "../support/modern-call.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { ROOT } from "../support/source-files.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const benches = gatewayBenches("approvals-page");
const RITA = "r".repeat(40);
const RULES = `
@id("all") permit (principal, action, resource);
@id("deletions-need-a-person") @decision("require-approval") @approvers("role:risk") @ttl("10m")
@reason("Deleting needs a second pair of eyes.")
forbid (principal, action == Mcp::Action::"s/wipe", resource);
`;

let browser: Browser;
let page: Page;
const faults: string[] = [];

async function callWipe(url: string, path: string): Promise<{ readonly [member: string]: unknown }> {
  const answer = await callTool(url, "wipe", { path });
  return JSON.parse(await answer.text());
}

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) throw new Error(`this suite needs Chromium at ${CHROMIUM} (or where CHROMIUM says)`);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
}, 60_000);
afterAll(() => browser?.close());
afterEach(() => page?.close());

describe("the page of approvals in a browser", () => {
  it("asks for a token, shows exactly what is asked for, and lets one call through", async () => {
    const at = benches.make({ policyFiles: bundleFiles(RULES) });
    const { secrets } = at.gatewayOptions;
    const operators = [{ name: "rita", roles: ["risk"], token: RITA }];
    const gateway = await startGateway({ ...at.gatewayOptions, secrets: { ...secrets, operators } });
    benches.later(gateway.close);
    const markup = '<img src="x" onerror="alert(1)">';
    const held = await callWipe(gateway.url, `/srv/reports/${markup}`);
    expect(held).toMatchObject({ error: { code: -31_002 } });

    page = await browser.newPage({ viewport: { width: 960, height: 860 }, colorScheme: "light" });
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("dialog", (dialog) => faults.push(dialog.message()));
    await page.goto(`${gateway.operatorUrl}/`);
    expect(await page.locator("article").count()).toBe(0);
    await page.fill("#token", "x".repeat(40));
    await page.click("#sign-in button");
    await page.waitForSelector("#notice.bad");
    expect(await page.textContent("#notice")).toContain("ERR_TOKEN");

    await page.fill("#token", RITA);
    await page.click("#sign-in button");
    await page.waitForSelector("article");
    const shown = (await page.textContent("article")) ?? "";
    for (const text of [
      "s/wipe",
      "deletions-need-a-person",
      "Deleting needs a second pair of eyes.",
      markup.slice(0, 8),
    ]) {
      expect(shown).toContain(text);
    }
    expect(await page.locator("article img").count()).toBe(0);
    await page.screenshot({ path: join(ROOT, "docs", "images", "approvals.png") });
    await page.click("button.grant");
    await page.waitForSelector(".chip.granted");
    expect(await callWipe(gateway.url, `/srv/reports/${markup}`)).toHaveProperty("result");
    expect(await callWipe(gateway.url, `/srv/reports/${markup}`)).toMatchObject({ error: { code: -31_002 } });
    await page.waitForSelector("button.refuse");
    await page.click("button.refuse");
    await page.waitForSelector(".chip.refused");
    expect(await page.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})")).toBe("{}");
    expect(faults).toEqual([]);
  }, 60_000);
});
