// Calls our own API; whatever goes wrong becomes one Failure with a sentence for a person.

import { askForToken, token } from "./token.js";

/** What went wrong: the sentence, the HTTP status (0 where there was no answer), the fields. */
export class Failure extends Error {
  constructor(message, { status = 0, errors = [] } = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** The JSON answer to a call; Failure otherwise. */
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const text = body === undefined ? undefined : JSON.stringify(body);
  const send = (given) =>
    reach(path, {
      method,
      headers: { ...type, ...headers, ...(given && { Authorization: `Bearer ${given}` }) },
      body: text,
      signal,
    });
  let answer = await send(token());
  for (let given = token(); answer.status === 401 && askForToken(given); given = token()) {
    answer = await send(token());
  }
  const value = await answer.json().catch(() => null);
  if (!answer.ok) throw failure(answer, value);
  return value;
}

export const get = (path, options) => call("GET", path, options);

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The API does not answer. Is the stack up? Try: make ps");
  }
}

function failure(answer, problem) {
  const sentence = problem?.detail || problem?.title || `The API answered ${answer.status}.`;
  return new Failure(sentence, { status: answer.status, errors: problem?.errors ?? [] });
}

/** The path of a job, or of something below it. */
export function jobPath(jobId, below = "") {
  return `/jobs/${encodeURIComponent(jobId)}${below}`;
}
