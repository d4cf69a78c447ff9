/**
 * The page of approvals. It knows nothing until somebody gives an operator's token, which is kept in this module's memory
 * alone and sent as a bearer token: no cookie, so no other page can decide anything in an operator's name.
 * Text is always set as text: nothing of a call becomes markup.
 */

const REFRESH_MS = 5_000;
const FIRST = new Set(["requested", "granted"]);

let token = "";
let timer;

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; undefined children are left out. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

function notice(text, tone = "bad") {
  const place = byId("notice");
  place.textContent = text;
  place.className = tone;
  place.hidden = text === "";
}

/** One request to the operators' routes. Throws the gateway's own words. */
async function ask(method, path) {
  const answer = await fetch(path, {
    method,
    headers: { authorization: `Bearer ${token}` },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  const body = await answer.json();
  if (answer.ok) return body;
  throw new Error(`${body.error?.code ?? answer.status}: ${body.error?.message ?? "refused"}`);
}

function row(name, ...value) {
  return [element("dt", {}, name), element("dd", {}, ...value)];
}

function code(text) {
  return element("code", {}, text);
}

/** What the approver decides about: the arguments as they are, and the digests that the receipts hold them by. */
function details(approval) {
  const { policies, reason, requested, expires, binding, evidence } = approval;
  const shown = approval.arguments;
  return element(
    "dl",
    {},
    ...row("held by", ...policies.flatMap((policy) => [code(policy), " "])),
    ...(reason === undefined ? [] : row("reason", reason)),
    ...row("requested", requested),
    ...row("ends", expires),
    ...(evidence === undefined ? [] : row("decided with", evidence)),
    ...row("binding", code(binding)),
    ...(shown === undefined
      ? row("arguments", element("em", {}, "not shown: only to those who may decide, and not after a restart"))
      : [
          ...row("arguments SHA-256", code(approval.arguments_sha256)),
          ...row("arguments", element("pre", {}, JSON.stringify(shown, null, 2))),
        ]),
  );
}

function button(approval, verb, text) {
  const made = element("button", { type: "button", class: verb }, text);
  made.addEventListener("click", () => decide(approval, verb));
  return made;
}

function card(approval) {
  const { id, state, server, tool } = approval;
  const isOpen = state === "requested" && approval.may_decide;
  return element(
    "article",
    { id, class: id === location.hash.slice(1) ? "named" : "" },
    element("h2", {}, element("span", { class: `chip ${state}` }, state), ` ${server}/${tool}`),
    details(approval),
    isOpen
      ? element("div", { class: "row" }, button(approval, "grant", "Approve once"), button(approval, "refuse", "Deny"))
      : state === "requested"
        ? element("p", { class: "hint" }, "The policies name other approvers than you, or another kind of evidence.")
        : undefined,
  );
}

async function decide({ id, server, tool }, verb) {
  try {
    await ask("POST", `/approvals/${id}/${verb}`);
    await show();
    notice(`${server}/${tool}: ${verb === "grant" ? "approved, for one call" : "denied"}`, "good");
  } catch (error) {
    notice(error.message);
  }
}

/** Draws the list again, only if it has changed: a button must not move under a pointer. */
let drawn = "";
async function show() {
  const { approvals } = await ask("GET", "/approvals");
  const text = JSON.stringify(approvals);
  if (text === drawn) return;
  drawn = text;
  const rank = ({ state }) => (FIRST.has(state) ? 0 : 1);
  const sorted = approvals.toReversed().sort((a, b) => rank(a) - rank(b));
  const list = byId("list");
  list.replaceChildren(
    ...(sorted.length === 0 ? [element("p", { class: "hint" }, "Nothing waits.")] : sorted.map(card)),
  );
  list.hidden = false;
}

async function signIn(event) {
  event.preventDefault();
  const field = byId("token");
  token = field.value.trim();
  field.value = "";
  clearInterval(timer);
  try {
    await show();
  } catch (error) {
    token = "";
    notice(error.message);
    return;
  }
  byId("sign-in").hidden = true;
  notice("");
  document.querySelector("article.named")?.scrollIntoView();
  timer = setInterval(() => show().catch((error) => notice(error.message)), REFRESH_MS);
}

byId("sign-in").addEventListener("submit", signIn);
