// The one place where the API is asked: nothing is waited for without end, and its silence is told.

// In seconds. What changes something may wait in a queue of the API's; the rest has a limit of 3 s there.
const LIMITS = { GET: 10, HEAD: 10 };
const LIMIT_OF_A_CHANGE = 30;

let silent = false;
let onSilence = () => {};

/** Calls `listener` with true when a call got no answer in time, with false at the next answer. */
export function listenToSilence(listener) {
  onSilence = listener;
  if (silent) listener(true);
}

/** How many seconds such a call may take. */
export const limitOf = (method) => LIMITS[method] ?? LIMIT_OF_A_CHANGE;

/** What `fetch` gives; the answer, with all of its body, is there within the limit or never. */
export async function ask(path, { method = "GET", ...options } = {}) {
  const signal = AbortSignal.timeout(1000 * limitOf(method));
  try {
    const answer = await fetch(path, { method, signal, ...options });
    tell(false);
    return answer;
  } catch (error) {
    if (isLate(error)) tell(true);
    throw error;
  }
}

/** Whether it is the limit that ended a call. */
export const isLate = (error) => error.name === "TimeoutError";

function tell(now) {
  if (now === silent) return;
  silent = now;
  onSilence(now);
}
