/** The list of receipts, newest first: filters, rows, pages. */

import { ask } from "./api.js";
import { byId, chip, element, timeText, words } from "./dom.js";

const PAGE = 25;
const KINDS = [
  "DECISION",
  "OUTCOME",
  "SESSION_OPEN",
  "SESSION_SEAL",
  "STREAM_OPEN",
  "POLICY_LOAD",
  "CATALOG_LOAD",
  "HEARTBEAT",
  "REFUSALS",
  "DRIFT",
  "STREAM_CLOSE",
];
const DECISIONS = ["ALLOW", "DENY", "HOLD", "PHANTOM"];
const TEXT_FILTERS = ["tool", "server", "session", "stream"];
const DECISION_TONES = { ALLOW: "good", DENY: "bad", HOLD: "warn", PHANTOM: "warn" };
const SYMBOLS = { PASS: "✓", FAIL: "✕", NOT_ESTABLISHED: "?" };

const QUERY = `query ($ledger: String, $last: Int, $before: String, $filter: ReceiptFilter) {
  receipts(ledger: $ledger, last: $last, before: $before, filter: $filter) {
    totalCount
    pageInfo { hasPreviousPage startCursor }
    edges {
      node {
        index time kind tool server decision wouldDeny status reasons policies
        checks { inclusion { verdict } signature { verdict } continuity { verdict code } }
      }
    }
  }
}`;

/** The list; `onChoose` is told the index of a chosen receipt. */
export class ReceiptList {
  #ledger;
  #filter = {};
  /** Cursors of the pages before this one, newest first. */
  #pages = [];
  #cursor;
  #next;
  #chosen;
  #onChoose;
  #onFault;

  constructor({ onChoose, onFault }) {
    this.#onChoose = onChoose;
    this.#onFault = onFault;
    makeFilters(byId("filters"), (filter) => {
      this.#filter = filter;
      this.#restart();
    });
    byId("older").addEventListener("click", () => this.#turn(() => this.#pages.push(this.#cursor), this.#next));
    byId("newer").addEventListener("click", () => this.#turn(() => undefined, this.#pages.pop()));
  }

  /** Shows the newest page of a ledger. */
  open(ledger) {
    this.#ledger = ledger;
    return this.#restart();
  }

  /** Reads the page again if it is the newest one: new receipts come there. */
  refresh() {
    return this.#pages.length === 0 ? this.#load() : Promise.resolve();
  }

  /** Marks the chosen receipt. */
  choose(index) {
    this.#chosen = index;
    for (const row of byId("receipts").children) {
      row.setAttribute("aria-selected", String(Number(row.dataset.index) === index));
    }
  }

  #restart() {
    this.#pages = [];
    this.#cursor = undefined;
    return this.#load();
  }

  #turn(remember, cursor) {
    remember();
    this.#cursor = cursor;
    return this.#load();
  }

  async #load() {
    try {
      const variables = { ledger: this.#ledger, last: PAGE, before: this.#cursor ?? null, filter: this.#filter };
      const { receipts } = await ask(QUERY, variables);
      this.#show(receipts);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #show({ edges, pageInfo, totalCount }) {
    const nodes = edges.map(({ node }) => node).reverse();
    byId("receipts").replaceChildren(...nodes.map((node) => this.#row(node)));
    byId("empty").hidden = nodes.length > 0;
    byId("older").disabled = !pageInfo.hasPreviousPage;
    byId("newer").disabled = this.#pages.length === 0;
    byId("count").textContent = totalCount === null ? "" : `${totalCount.toLocaleString("en")} receipts`;
    this.#next = pageInfo.startCursor;
    if (this.#chosen !== undefined) this.choose(this.#chosen);
  }

  #row(node) {
    const choose = () => this.#onChoose(node.index);
    const onKey = (event) => {
      if (event.key === "Enter" || event.key === " ") choose();
    };
    return element(
      "tr",
      { tabindex: "0", "data-index": String(node.index), click: choose, keydown: onKey },
      element("td", { class: "number" }, node.index.toLocaleString("en")),
      element("td", {}, timeText(node.time)),
      element("td", {}, words(node.kind)),
      element(
        "td",
        {},
        node.tool ?? "",
        node.server === null ? null : element("span", { class: "server" }, ` · ${node.server}`),
      ),
      element("td", {}, resultChip(node)),
      element("td", { class: "because" }, because(node)),
      element("td", {}, checkMarks(node.checks)),
    );
  }
}

/** What came of a request, as a chip; null for receipts that decide nothing. */
export function resultChip({ decision, wouldDeny, status }) {
  if (wouldDeny === true) return chip("allow · would deny", "warn");
  if (decision !== null) return chip(words(decision), DECISION_TONES[decision]);
  if (status !== null) return chip(status.replaceAll("_", " "), status === "ok" ? "" : "warn");
  return null;
}

/** The three checks of this node, as marks. */
export function checkMarks(checks) {
  const names = {
    inclusion: "in the witnessed tree",
    signature: "signed by the registered key",
    continuity: "in its place",
  };
  const marks = Object.entries(names).map(([name, what]) => {
    const { verdict } = checks[name];
    const title = `${what}: ${words(verdict)}`;
    return element(
      "span",
      { class: `check ${verdict.toLowerCase()}`, title, role: "img", "aria-label": title },
      SYMBOLS[verdict],
    );
  });
  return element("span", { class: "checks" }, ...marks);
}

function because({ decision, reasons, policies }) {
  if (decision === null) return reasons.join(", ");
  return policies.length > 0 ? policies.join(", ") : reasons.join(", ");
}

function makeFilters(form, onChange) {
  const option = (value, text) => element("option", { value }, text);
  const choice = (name, values) =>
    element(
      "select",
      { name, "aria-label": name },
      option("", `any ${name}`),
      ...values.map((value) => option(value, words(value))),
    );
  const texts = TEXT_FILTERS.map((name) =>
    element("input", { name, placeholder: name, "aria-label": name, spellcheck: "false" }),
  );
  form.append(
    choice("kind", KINDS),
    choice("decision", DECISIONS),
    ...texts,
    element("button", { type: "reset" }, "Clear"),
  );
  const read = () => {
    const entries = [...new FormData(form)].map(([name, value]) => [name, String(value).trim()]);
    onChange(Object.fromEntries(entries.filter(([, value]) => value !== "")));
  };
  form.addEventListener("change", read);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    read();
  });
  form.addEventListener("reset", () => setTimeout(read));
}
