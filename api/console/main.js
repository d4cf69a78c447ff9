/** Entry point of the console: one page, one ledger at a time, refreshed while it is looked at. */

import { showAlarms } from "./alarms.js";
import { ask, keepToken } from "./api.js";
import { showReceipt } from "./detail.js";
import { byId, element } from "./dom.js";
import { ReceiptList } from "./receipts.js";
import { STATUS_QUERY, statusCards } from "./status.js";

const REFRESH_MS = 2000;
/** Where the detail stands below the list (console.css). */
const NARROW = "(max-width: 1180px)";

let ledger;
let newest;
const list = new ReceiptList({ onChoose: choose, onFault: showFault });

/** Opens a receipt, and makes the address a link to it. */
async function choose(index) {
  list.choose(index);
  history.replaceState(null, "", `#${ledger}/${index}`);
  try {
    await showReceipt(ledger, index);
    hideFault();
    if (matchMedia(NARROW).matches) byId("detail").scrollIntoView({ behavior: "smooth" });
  } catch (error) {
    showFault(error);
  }
}

async function refresh() {
  try {
    const { ledgers } = await ask(STATUS_QUERY);
    hideFault();
    byId("token-form").hidden = true;
    await showLedger(ledgers);
  } catch (error) {
    showFault(error);
  }
}

async function showLedger(ledgers) {
  const isFirst = ledger === undefined;
  if (isFirst) startWith(ledgers);
  const current = ledgers.find(({ name }) => name === ledger) ?? ledgers[0];
  byId("status").replaceChildren(...statusCards(current));
  const mark = `${ledger} ${current.receipts} ${current.alarms}`;
  if (mark === newest) return;
  newest = mark;
  if (isFirst) await list.open(ledger);
  else await list.refresh();
  await showAlarms(ledger);
}

/** Takes ledger and receipt from the address, if it names them. */
function startWith(ledgers) {
  const [name, index] = decodeURIComponent(location.hash.slice(1)).split("/");
  ledger = ledgers.some((each) => each.name === name) ? name : ledgers[0].name;
  const select = byId("ledger");
  select.replaceChildren(...ledgers.map((each) => element("option", { value: each.name }, each.name)));
  select.value = ledger;
  select.parentElement.hidden = ledgers.length < 2;
  if (/^\d+$/u.test(index ?? "")) choose(Number(index));
}

function showFault(error) {
  const needsToken = error.code === "ERR_TOKEN";
  byId("token-form").hidden = !needsToken;
  byId("notice").hidden = needsToken;
  byId("notice").textContent = `${error.code ?? "ERR_BUG"}: ${error.message}`;
}

function hideFault() {
  byId("notice").hidden = true;
}

function showView(name) {
  for (const each of ["receipts", "alarms"]) {
    byId(`view-${each}`).hidden = each !== name;
    byId(`tab-${each}`).setAttribute("aria-pressed", String(each === name));
  }
}

byId("tab-receipts").addEventListener("click", () => showView("receipts"));
byId("tab-alarms").addEventListener("click", () => showView("alarms"));
byId("ledger").addEventListener("change", (event) => {
  ledger = event.target.value;
  newest = undefined;
  list.open(ledger);
  refresh();
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  refresh();
});
setInterval(() => {
  if (document.visibilityState === "visible") refresh();
}, REFRESH_MS);
refresh();
