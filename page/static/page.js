// The page works without this file. With it, results appear as they arrive and an upload shows how far it is.
"use strict";

const POLL = 500; // ms, while something is unfinished
const REFRESH = 10_000; // ms, for the pulse and uploads of others
const known = new Map(); // address -> what it last said

// Fetch this page again and put what changed in its place: the server renders everything, once.
async function refresh() {
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ["pulse", "uploads", "upload", "crawler", "digest"]) {
    const [old, young] = [document.getElementById(id), fresh.getElementById(id)];
    if (old && young && old.outerHTML !== young.outerHTML) replace(old, young);
  }
}

// A job that is followed live stays as it is while it goes on: only what stands around it is new.
function replace(old, young) {
  for (const box of old.querySelectorAll("[data-job]")) young.querySelector(`#${CSS.escape(box.id)}`)?.replaceWith(box);
  old.replaceWith(young);
}

// Ask for everything unfinished; refresh once if any of it has changed.
async function poll() {
  const addresses = [...document.querySelectorAll("[data-waiting]")].map((one) => one.dataset.waiting);
  const changes = await Promise.all(addresses.map(changed));
  if (changes.some(Boolean)) await refresh();
}

async function changed(address) {
  const response = await fetch(address, { headers: { accept: "application/json" } });
  const text = response.ok ? await response.text() : "";
  if (known.get(address) === text) return false;
  const before = known.get(address);
  known.set(address, text);
  if (text) announce(JSON.parse(before || "{}"), JSON.parse(text));
  return true;
}

// Say each new stage to screen readers, not every number.
function announce(before, upload) {
  if (before.state === upload.state) return;
  const rows = upload.state === "done" ? `, ${upload.row_count.toLocaleString("en")} rows` : "";
  document.getElementById("news").textContent = `${upload.name}: ${upload.state}${rows}`;
}

async function loop(turn, pause) {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, pause));
    if (document.hidden) continue;
    try {
      await turn();
    } catch {
      // the server restarts, or the network is away: the next turn tries again
    }
  }
}

function count() {
  for (const time of document.querySelectorAll("time")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time.dateTime)) / 1000));
    const [length, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([length]) => seconds >= length) ?? [1, "s"];
    const text = `${Math.floor(seconds / length)} ${unit} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// Send the form with a progress bar; fetch() cannot tell how far an upload is.
function send(form) {
  const line = form.querySelector("[data-upload-progress]");
  const [bar, output, button] = ["progress", "output", "button"].map((name) => form.querySelector(name));
  const request = new XMLHttpRequest();
  const fail = (message) => { output.value = message; button.disabled = false; };
  request.open("POST", form.action);
  request.setRequestHeader("accept", "application/json");
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    output.value = `${Math.floor((100 * loaded) / total)} %`;
  };
  request.onerror = () => fail("The upload broke off. Try again.");
  request.onload = () => {
    if (request.status === 201) location.assign(request.getResponseHeader("location"));
    else fail(request.responseText);
  };
  button.disabled = true;
  line.hidden = false;
  request.send(new FormData(form));
}

const form = document.querySelector("[data-upload]");
if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); send(form); });
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    form.querySelector("input[type=file]").files = event.dataTransfer.files;
  });
}
document.addEventListener("job-ended", () => refresh().catch(() => {}));
loop(poll, POLL);
loop(refresh, REFRESH);
setInterval(count, 1000);
