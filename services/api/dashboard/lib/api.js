// Calls to the API: one place for time limits, the token, what went wrong, and asking again.

import { LANGUAGE, errorText, sentenceText, t } from "./texts.js";

// What changes something may wait in a queue of the API.
const READ_SECONDS = 10;
const CHANGE_SECONDS = 30;
const limitOf = (method) => (["GET", "HEAD"].includes(method) ? READ_SECONDS : CHANGE_SECONDS);

/** What went wrong: a sentence, the HTTP status (0 without an answer), the fields. */
export class Failure extends Error {
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export const get = (path) => call("GET", path);

/** The path of a job, or of something below it. */
export const jobPath = (jobId, below = "") => `/jobs/${encodeURIComponent(jobId)}${below}`;

/** The JSON answer to a call; Failure otherwise. */
export async function call(method, path, { body, headers = {} } = {}) {
  const options = { method, headers };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json", ...headers };
    options.body = JSON.stringify(body);
  }
  let before = sessions;
  let answer = await send(path, options);
  while (answer.status === 401 && (await beginSession(before, method !== "GET"))) {
    before = sessions;
    answer = await send(path, options);
  }
  if (!answer.ok) throw failure(answer.status, answer.value);
  return answer.value;
}

async function send(path, options) {
  const seconds = limitOf(options.method);
  try {
    const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(1000 * seconds) });
    const text = await answer.text();
    tellSilence(false);
    return { status: answer.status, ok: answer.ok, value: parsed(text) };
  } catch (error) {
    if (error.name !== "TimeoutError")
      throw new Failure(t("The API does not answer. Is the stack up? Try: make ps"));
    tellSilence(true);
    const sentence =
      options.method === "GET"
        ? "The API gave no answer for {n} s. Is it frozen, or busy? Try: make ps"
        : "The API gave no answer for {n} s. The request may still take effect: check before you repeat it.";
    throw new Failure(t(sentence, { n: seconds }));
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function failure(status, problem) {
  const errors = (problem?.errors ?? []).map((each) => ({
    ...each,
    message: each.message && sentenceText(each.message),
  }));
  const sentence = sentenceOf(problem, errors) || t("The API answered {status}.", { status });
  return new Failure(sentence, { status, errors });
}

function sentenceOf(problem, errors) {
  const message = problem?.detail || problem?.title;
  // A mock's own mistakes have no message; its detail has all of them.
  if (LANGUAGE === "en" || !errors.length || errors.some((each) => !each.message))
    return message && errorText({ code: problem.code, message });
  return errors
    .map(({ field, message: value }) => t("{what}: {value}", { what: field, value }))
    .join(" ");
}

let silent = false;
let onSilence = () => {};

/** Calls `listener` with true when a call got no answer in time, with false at the next answer. */
export function listenToSilence(listener) {
  onSilence = listener;
  if (silent) listener(true);
}

function tellSilence(now) {
  if (now === silent) return;
  silent = now;
  onSilence(now);
}

// The token is exchanged for a cookie that no script sees, and forgotten.
let sessions = 0;
let declined = false;
let asking = null;

/** Ask for the token and begin a session; false if a further try makes no sense. */
async function beginSession(before, isWanted) {
  if (sessions !== before) return true;
  // A person who has declined is asked again only for what that person does.
  if (declined && !isWanted) return false;
  // Several calls may have been refused at once; one question serves them all.
  asking ??= askForToken().finally(() => (asking = null));
  return asking;
}

async function askForToken() {
  let sentence = t("This needs the API's token (API_TOKEN):");
  for (;;) {
    const token = window.prompt(sentence)?.trim();
    declined = !token;
    if (declined) return false;
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await send("/session", { method: "POST", headers }).catch(() => null);
    if (answer?.ok) {
      sessions += 1;
      return true;
    }
    sentence = answer
      ? t("This is not the API's token (API_TOKEN):")
      : t("The API does not answer. Enter its token (API_TOKEN) again:");
  }
}

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 8000;

/** Repeat `work`, after pauses that double, until it succeeds or is refused. */
export async function untilDone(work) {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    await new Promise((done) => setTimeout(done, pause));
    try {
      return await work();
    } catch (error) {
      if (error.status >= 400 && error.status < 500) throw error;
    }
  }
}

/** Runs `work` at once and after every pause, from `start` to `stop`, while the page is visible. */
export class Repeat {
  #work;
  #pause;
  #timer = 0;
  #running = false;

  /** `pause` gives milliseconds. */
  constructor(work, pause) {
    this.#work = work;
    this.#pause = pause;
    document.addEventListener("visibilitychange", () => this.#running && this.#turn());
  }

  start() {
    this.#running = true;
    this.#turn();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #turn() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    await this.#work();
    clearTimeout(this.#timer);
    if (this.#running) this.#timer = setTimeout(() => this.#turn(), this.#pause());
  }
}
