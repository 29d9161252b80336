// Calls our own API; whatever goes wrong becomes one Failure with a sentence for a person.

import { ask, isLate, limitOf } from "./ask.js";
import { beginSession, sessionsBegun } from "./token.js";
import { errorText, sentenceText } from "./errors.js";
import { LANGUAGE, t } from "./texts.js";

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
  const { status } = answer;
  const errors = (problem?.errors ?? []).map((each) => ({ ...each, message: sentenceText(each.message) }));
  return new Failure(sentenceOf(problem, errors) || t("The API answered {status}.", { status }), { status, errors });
}

function sentenceOf(problem, errors) {
  const message = problem?.detail || problem?.title;
  // A mock's own mistakes have no message; all of them are in its detail.
  if (LANGUAGE === "en" || !errors.length || errors.some((each) => each.message === undefined))
    return message && errorText({ code: problem.code, message });
  return errors.map(({ field, message: mistake }) => t("{what}: {value}", { what: field, value: mistake })).join(" ");
}

/** The path of a job, or of something below it. */
export function jobPath(jobId, below = "") {
  return `/jobs/${encodeURIComponent(jobId)}${below}`;
}
