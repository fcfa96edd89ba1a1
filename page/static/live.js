// Jobs that run, live: their progress, what they say, how they stand; and the buttons that hold and end them.
// Each element with data-job has a bar, a list of lines and buttons, rendered by the server; without this file they work by reloading.
import { subscribe } from "/api/pillars.js";

const MOST_LINES = 200;
const FINAL = ["completed", "failed", "cancelled", "expired"];
const followed = new WeakSet();

function follow(box) {
  if (followed.has(box) || !("token" in box.dataset)) return;
  followed.add(box);
  const [bar, text, lines, state] = ["progress", ".how-far", ".lines", ".state"].map((one) => box.querySelector(one));
  const add = (line, kind) => {
    const item = document.createElement("li");
    item.textContent = line;
    item.className = kind;
    lines.append(item);
    while (lines.childElementCount > MOST_LINES) lines.firstElementChild.remove();
    lines.scrollTop = lines.scrollHeight;
  };
  subscribe(box.dataset.job, {
    token: box.dataset.token,
    onProgress: ({ done, total, message }) => {
      if (total) [bar.max, bar.value] = [total, done];
      else bar.removeAttribute("value");
      text.textContent = `${done.toLocaleString("en")}${total ? ` of ${total.toLocaleString("en")}` : ""} ${message ?? ""}`;
    },
    onLog: ({ event, line, fields }) => add(line ?? `${event} ${listed(fields)}`, "log"),
    onOutput: ({ name, data }) => add(`${name} ${listed(data)}`, "output"),
    onReset: () => lines.replaceChildren(),
    onState: (job) => {
      box.dataset.state = state.textContent = job.state;
      document.getElementById("news").textContent = `${job.name}: ${job.state}`;
      for (const button of box.querySelectorAll("button")) {
        const paused = job.state === "paused";
        button.hidden = FINAL.includes(job.state) || (button.value === "pause" && paused) || (button.value === "resume" && !paused);
      }
      if (FINAL.includes(job.state)) document.dispatchEvent(new Event("job-ended"));
    },
    onError: (error) => add(error.message, "bad"),
  });
}

const listed = (fields) => Object.entries(fields ?? {}).map(([name, value]) => `${name}=${value}`).join(" ");

// A button says what it does by its form; where it can be sent without leaving the page, it is.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-job] form");
  if (!form || !event.submitter) return;
  event.preventDefault();
  event.submitter.disabled = true;
  try {
    await fetch(event.submitter.formAction, { method: "POST", headers: { accept: "application/json" } });
  } finally {
    event.submitter.disabled = false;
  }
});

const all = () => document.querySelectorAll("[data-job]").forEach(follow);
new MutationObserver(all).observe(document.querySelector("main"), { childList: true, subtree: true });
all();
