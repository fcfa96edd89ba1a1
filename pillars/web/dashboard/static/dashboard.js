// The pages work without this file: it keeps them fresh, lets ages count on, and adds keys.
"use strict";

const EVERY = 3000; // ms between two looks
const NEWS = 500; // ms between two looks for news
const REST = 20; // times as long as a look took is rested after it: an open page takes at most a twentieth of a connection's time
const LONGEST_REST = 60000; // ms
const SLACK = 200; // ms by which a timer may be early
const COUNT = 1000; // ms between two counts of the ages
const CHORD = 1500; // ms to press the second key of two
const find = (id) => document.getElementById(id);
const main = () => find("main");
const field = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

// --- live ---------------------------------------------------------------------------------------

let paused = remembered();
let silentSince = null;
let failures = 0; // in a row
let lookedAt = null; // while a look is under way
let restsUntil = 0;
let tookLast = 0;

function remembered() {
  try {
    return sessionStorage.getItem("pillars.paused") === "yes";
  } catch {
    return false; // storage is switched off
  }
}

function pause(wanted) {
  paused = wanted;
  try {
    sessionStorage.setItem("pillars.paused", wanted ? "yes" : "no");
  } catch {
    // then only this page remembers
  }
  tell();
  restsUntil = 0;
  follow();
  if (!paused) refresh();
}

function tell() {
  const state = paused ? "paused" : silentSince ? "silent" : "live";
  const words = { live: "live", paused: "paused", silent: "no answer" }[state];
  find("live").dataset.live = state;
  find("live").title = paused ? "Go on with live updates: p" : "Pause live updates: p";
  if (find("live-status").textContent !== words) find("live-status").textContent = words;
}

// Not while somebody reads in a hidden tab, chooses from a list, marks text, or is asked something; nor over a refusal, which
// would be gone before it is read: its address may be one that only takes forms.
function mayRefresh() {
  return !paused && !document.hidden && !document.querySelector("dialog[open], [data-repeats=no]") && !reading();
}

function reading() {
  const chosen = getSelection();
  return !chosen.isCollapsed && main().contains(chosen.anchorNode);
}

// After slow looks, and the more of them fail, the longer: the server may be slow for the very reason that pages look.
function rest(took, failed) {
  return Math.min(Math.max(EVERY * 2 ** Math.max(failed - 1, 0), REST * took), LONGEST_REST);
}

function refresh() {
  const now = performance.now();
  if (!mayRefresh() || now < restsUntil || (lookedAt !== null && now < lookedAt + LONGEST_REST)) return false;
  lookedAt = now;
  htmx.trigger(main(), "refresh");
  return true;
}

function answered(event) {
  const status = event.detail.ctx?.response?.status ?? 0;
  const failed = status === 0 || status >= 500;
  if (lookedAt !== null) {
    failures = failed ? failures + 1 : 0;
    const took = (tookLast = performance.now() - lookedAt);
    restsUntil = failed || REST * took > EVERY ? lookedAt + rest(took, failures) - SLACK : 0;
    lookedAt = null;
  }
  silentSince = failed ? silentSince ?? Date.now() : null;
  tell();
}

// --- news: the page of a job that goes on is told of each change, and looks then ------------------

let news = null;
let toLook = 0; // a timer

function follow() {
  const head = paused || document.hidden ? null : document.querySelector("[data-news]");
  const address = head?.dataset.news;
  if (news?.address === address && news?.source.readyState !== EventSource.CLOSED) return;
  news?.source.close();
  news = address ? { address, source: new EventSource(address) } : null;
  for (const kind of ["progress", "log", "output", "metadata", "state", "end"]) news?.source.addEventListener(kind, heard);
  news?.source.addEventListener("end", (event) => event.target.close());
}

function heard() {
  toLook ||= setTimeout(() => {
    toLook = 0;
    if (!refresh() && mayRefresh()) heard();
  }, Math.min(Math.max(NEWS, REST * tookLast), LONGEST_REST));
}

// --- ages, in the words of the server, by its database's clock ----------------------------------

let offset = 0;

function setClock() {
  const now = main().dataset.now;
  if (now) offset = Date.parse(now) - Date.now();
}

function age(moment) {
  const ahead = (moment - (Date.now() + offset)) / 1000;
  const seconds = Math.abs(ahead);
  const [length, unit] = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]].find(([one]) => seconds >= one) ?? [1, "s"];
  const count = Math.round(seconds / length);
  if (count === 0) return "now";
  return ahead > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

function count() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("main time")) {
    const said = age(Date.parse(time.dateTime));
    if (time.textContent !== said) time.textContent = said;
  }
}

// --- selecting ----------------------------------------------------------------------------------

const ticks = () => [...document.querySelectorAll("#jobs tbody input[name=job_id]")];

function showSelection() {
  const all = find("tick-all");
  if (!all) return;
  const chosen = ticks().filter((one) => one.checked).length;
  all.hidden = false;
  all.checked = chosen > 0 && chosen === ticks().length;
  all.indeterminate = chosen > 0 && !all.checked;
  const said = chosen ? `${chosen} selected` : "";
  if (find("selected").textContent !== said) find("selected").textContent = said;
  for (const id of ["retry-selected", "cancel-selected"]) find(id).disabled = chosen === 0;
}

let lastTick = null;

function ticked(event) {
  const box = event.target;
  if (box.id === "tick-all") {
    for (const one of ticks()) one.checked = box.checked;
  } else if (box.name === "job_id") {
    if (event.shiftKey && lastTick?.isConnected) tickBetween(lastTick, box);
    lastTick = box;
  } else return;
  showSelection();
}

function tickBetween(first, last) {
  const all = ticks();
  const [from, to] = [all.indexOf(first), all.indexOf(last)].sort((one, other) => one - other);
  for (const one of all.slice(from, to + 1)) one.checked = last.checked;
}

// --- keys ---------------------------------------------------------------------------------------

const PLACES = { o: "", j: "/jobs", q: "/queues", n: "/names", s: "/schedules", w: "/workers", a: "/audit" };
let going = 0;

const KEYS = {
  g: () => { going = Date.now(); },
  "/": () => {
    const name = find("filter-name");
    if (name) name.select();
    else location.assign(`${document.body.dataset.root}/jobs#filter-name`);
  },
  j: () => move(1),
  k: () => move(-1),
  x: () => row()?.querySelector("input[name=job_id]")?.click(),
  r: retry,
  p: () => pause(!paused),
  "?": () => find("help").showModal(),
};

function row() {
  return document.activeElement?.closest?.("[data-row]");
}

function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const here = rows.indexOf(row());
  const next = rows[here < 0 ? 0 : Math.min(Math.max(here + by, 0), rows.length - 1)];
  const target = next?.querySelector("th a, a, button");
  target?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function retry() {
  const button = find("retry-selected");
  if (!button) return document.querySelector("form[action$='/retry'] button")?.click();
  const box = row()?.querySelector("input[name=job_id]");
  if (!ticks().some((one) => one.checked) && box) box.click();
  button.click();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (field(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const place = Date.now() - going < CHORD ? PLACES[event.key] : undefined;
  going = 0;
  if (place !== undefined) {
    event.preventDefault();
    location.assign(document.body.dataset.root + place);
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

// --- buttons ------------------------------------------------------------------------------------

function sure(event) {
  const question = event.submitter?.dataset.sure;
  if (question && !confirm(question)) event.preventDefault();
}

async function copy(button) {
  const source = find(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // over plain HTTP there is no clipboard: ready for Ctrl-C
    button.textContent = "Marked";
  }
}

// The server does not know by which address it is asked; and a token goes to no other machine without TLS.
function fillIn() {
  const curl = find("copy-http");
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!curl || !(location.protocol === "https:" || local)) return;
  const said = curl.textContent.replace('"$APP_URL"', location.origin);
  if (curl.textContent !== said) curl.textContent = said;
}

function revealed() {
  fillIn();
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  setClock();
  count();
  showSelection();
  follow();
}

document.addEventListener("keydown", pressed);
document.addEventListener("submit", sure);
document.addEventListener("click", (event) => {
  ticked(event);
  const button = event.target.closest("button");
  if (button?.dataset.copy) copy(button);
  if (button?.id === "live") pause(!paused);
  if (button?.id === "help-button") find("help").showModal();
});
document.addEventListener("visibilitychange", () => {
  follow();
  refresh();
});
document.addEventListener("htmx:after:request", answered);
document.addEventListener("htmx:error", answered);
document.addEventListener("htmx:after:swap", revealed);
for (const id of ["live", "help-button"]) find(id).hidden = false;
if (location.search.includes("said=")) {
  // The message was for this once: neither a reload nor a copied address repeats it.
  const address = new URL(location.href);
  for (const name of ["said", "done", "asked", "left"]) address.searchParams.delete(name);
  history.replaceState(null, "", address);
}
if (location.hash === "#filter-name") find("filter-name")?.select();
tell();
revealed();
setInterval(refresh, EVERY);
setInterval(count, COUNT);
