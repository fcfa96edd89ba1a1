// Follow jobs of a Three Pillars application from a page, and start, pause, resume and abort them. An ES module without dependencies.
//
//   import { subscribe } from "/api/pillars.js";
//   const close = subscribe({ job: id }, { onProgress: (done) => draw(done), onEnd: () => reload() });
//
// It goes on after whatever breaks off, without a gap or a repeat, until all jobs have ended or close() is called.

const API = new URL(".", import.meta.url); // this module is served beside the routes
const FIRST_WAIT = 500, LONGEST_WAIT = 30_000; // milliseconds between tries
const SILENCE = 40_000; // milliseconds; something comes every 15 s, so after this the connection is dead
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SAID = { progress: "onProgress", log: "onLog", output: "onOutput", metadata: "onMetadata" };

/**
 * Follow jobs; returns close().
 *
 * `topics` is a job's id, { job, name, tag } with a text or a list each, { task: name } for the newest unfinished job of a name, or the
 * URL of a stream. `to` has what is told, each left out or a function:
 *   onProgress, onLog, onOutput, onMetadata(body, { job_id, attempt, at, id }), onState({ job_id, name, state, attempt, last_error }),
 *   onResult(result, { job_id }), onReset(reason): what was told before may not be all, it begins anew; onCut({ job_id }): there is
 *   more than its newest events, with which it begins; onEnd(): all jobs have ended; onError(error): it has given up.
 * And `token`: a stream token, or a function, async perhaps, that fetches one whenever one is needed; `after`: the id of an event to
 * begin after; `base`: where the routes are, for who serves a copy of this module.
 */
export function subscribe(topics, to = {}) {
  const closing = new AbortController();
  follow(address(topics, to), to, closing.signal).catch((error) => {
    if (!closing.signal.aborted) tell(to, "onError", error);
  });
  return () => closing.abort();
}

/** Enqueue a job; returns it. `options` may have what POST /api/jobs takes beside, and `token` and `base`. */
export function start(name, payload = {}, { token, base, ...options } = {}) {
  return ask("jobs", { token, base }, { name, payload, ...options });
}

/** Pause a job from its next checkpoint on; returns it. */
export const pause = (id, options) => ask(`jobs/${encodeURIComponent(id)}/pause`, options);

/** Let a paused job go on; returns it. */
export const resume = (id, options) => ask(`jobs/${encodeURIComponent(id)}/resume`, options);

/** End a job, wherever it runs; returns it. */
export const abort = (id, options) => ask(`jobs/${encodeURIComponent(id)}/cancel`, options);

async function ask(path, { token, base } = {}, body = undefined) {
  const headers = { ...(await bearer(token)), ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(new URL(path, base ?? API), { method: "POST", headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

function address(topics, { base }) {
  const api = base ?? API;
  if (typeof topics === "string") return UUID.test(topics) ? new URL(`jobs/${topics}/stream`, api) : new URL(topics, location.href);
  if (topics.task) return new URL(`tasks/${encodeURIComponent(topics.task)}`, api);
  const url = new URL("streams", api);
  for (const kind of ["job", "name", "tag"]) for (const one of [topics[kind] ?? []].flat()) url.searchParams.append(kind, one);
  return url;
}

async function follow(url, to, signal) {
  const place = { id: to.after ?? null }; // the last event that was told
  let wait = FIRST_WAIT, renewed = false;
  while (!signal.aborted) {
    let outcome;
    try {
      outcome = await connect(url, to, place, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!passing(error)) throw error;
      outcome = { wait: error.retryAfter };
    }
    if (outcome.end) return tell(to, "onEnd");
    if (outcome.refused) {
      // A new token may do; the same once more will not.
      if (typeof to.token !== "function" || renewed) throw outcome.refused;
      renewed = true;
      continue;
    }
    renewed = false;
    wait = outcome.told ? FIRST_WAIT : Math.min(wait * 2, LONGEST_WAIT);
    await sleep(outcome.wait ?? wait * (0.5 + Math.random()), signal);
  }
}

async function connect(url, to, place, signal) {
  const headers = { accept: "text/event-stream", ...(await bearer(to.token)) };
  if (place.id !== null) headers["last-event-id"] = String(place.id);
  const silence = new AbortController();
  const stop = () => silence.abort();
  signal.addEventListener("abort", stop);
  let alarm = setTimeout(stop, SILENCE);
  try {
    const answer = await fetch(url, { headers, signal: silence.signal, cache: "no-store" });
    if (answer.status === 204) return { end: true };
    if (answer.status === 401) return { refused: await refusal(answer) };
    if (!answer.ok) throw await refusal(answer);
    let told = false;
    for await (const frame of frames(answer.body)) {
      clearTimeout(alarm);
      alarm = setTimeout(stop, SILENCE);
      if (signal.aborted) return {};
      const outcome = heed(frame, to, place);
      if (outcome) return outcome;
      told ||= frame.event !== undefined;
    }
    return { told };
  } finally {
    clearTimeout(alarm);
    signal.removeEventListener("abort", stop);
    silence.abort(); // or what is left of an answer would hold its connection
  }
}

/** Tell what a frame says; returns what comes of it where it is the last. */
function heed({ event, id, data }, to, place) {
  if (event === "reset") place.id = null;
  if (id !== undefined) place.id = id;
  if (event === undefined) return undefined;
  const said = JSON.parse(data);
  if (event in SAID) {
    const { body, ...about } = said;
    tell(to, SAID[event], body, { ...about, id });
  } else if (event === "state") tell(to, "onState", said);
  else if (event === "result") tell(to, "onResult", said.result, { job_id: said.job_id });
  else if (event === "reset") tell(to, "onReset", said.reason);
  else if (event === "cut") tell(to, "onCut", said);
  else if (event === "end") return { end: true };
  else if (event === "slow") return { told: true, wait: 0 };
  else if (event === "expired") return { refused: new Error(said.reason) };
  return undefined;
}

/** The frames of a stream, as the HTML standard has them; ours have one line of data. */
async function* frames(body) {
  let rest = "", frame = {};
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line !== "") {
          const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
          frame[field] = text;
          continue;
        }
        yield frame;
        frame = {};
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function bearer(token) {
  const said = typeof token === "function" ? await token() : token;
  return said ? { authorization: `Bearer ${said}` } : {};
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const error = new Error(problem.detail ?? `${answer.status} ${answer.statusText}`);
  error.status = answer.status;
  const seconds = Number(answer.headers.get("retry-after"));
  if (seconds > 0) error.retryAfter = seconds * 1000;
  return error;
}

/** Whether it is worth another try: the network, or a server that is busy or starts anew. */
const passing = (error) => error.status === undefined || error.status === 429 || error.status >= 500;

function tell(to, name, ...said) {
  try {
    to[name]?.(...said);
  } catch (error) {
    reportError(error); // the page's own mistake is no reason to tell it again from the start
  }
}

function sleep(milliseconds, signal) {
  return new Promise((done) => {
    const alarm = setTimeout(finish, milliseconds);
    signal.addEventListener("abort", finish, { once: true });
    function finish() {
      clearTimeout(alarm);
      signal.removeEventListener("abort", finish);
      done();
    }
  });
}
