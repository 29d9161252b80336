// Calls our own API; whatever goes wrong becomes one Failure with a sentence for a person.

import { ask, isLate, limitOf } from "./ask.js";
import { beginSession, sessionsBegun } from "./token.js";
import { t } from "./texts.js";

/** What went wrong: the sentence, the HTTP status (0 where there was no answer), the fields. */
export class Failure extends Error {
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** The JSON answer to a call; Failure otherwise. */
export async function call(method, path, { body, headers = {} } = {}) {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const text = body === undefined ? undefined : JSON.stringify(body);
  const send = () => reach(path, { method, headers: { ...type, ...headers }, body: text });
  let before = sessionsBegun();
  let answer = await send();
  while (answer.status === 401 && (await beginSession(before, { wanted: method !== "GET" }))) {
    before = sessionsBegun();
    answer = await send();
  }
  const value = await answer.json().catch((error) => (isLate(error) ? late(method) : null));
  if (!answer.ok) throw failure(answer, value);
  return value;
}

export const get = (path, options) => call("GET", path, options);

async function reach(path, options) {
  try {
    return await ask(path, options);
  } catch (error) {
    if (isLate(error)) late(options.method);
    throw new Failure(t("The API does not answer. Is the stack up? Try: make ps"));
  }
}

function late(method) {
  const sentence =
    method === "GET"
      ? "The API gave no answer for {n} s. Is it frozen, or busy? Try: make ps"
      : "The API gave no answer for {n} s. It may still do what was asked: look before you ask again.";
  throw new Failure(t(sentence, { n: limitOf(method) }));
}

function failure(answer, problem) {
  const sentence = problem?.detail || problem?.title || t("The API answered {status}.", { status: answer.status });
  return new Failure(sentence, { status: answer.status, errors: problem?.errors ?? [] });
}

/** The path of a job, or of something below it. */
export function jobPath(jobId, below = "") {
  return `/jobs/${encodeURIComponent(jobId)}${below}`;
}
