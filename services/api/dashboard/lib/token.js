// The API's token: asked for when the API wants it, and given back for a cookie that no script sees.

import { ask } from "./ask.js";
import { t } from "./texts.js";

let sessions = 0;
let declined = false;
let asking = null;

/** How many sessions this page has begun; a call that was refused before the last one goes again. */
export function sessionsBegun() {
  return sessions;
}

/** Ask for the token and begin a session; whether trying again makes sense. */
export async function beginSession(before, { wanted }) {
  if (sessions !== before) return true;
  // What the page asks for by itself must not ask a person again and again.
  if (declined && !wanted) return false;
  // Several calls may have been refused at once; one question serves them all.
  asking ??= question().finally(() => (asking = null));
  return asking;
}

async function question() {
  let sentence = t("This needs the API's token (API_TOKEN):");
  for (;;) {
    const given = window.prompt(sentence)?.trim();
    declined = !given;
    if (declined) return false;
    const headers = { Authorization: `Bearer ${given}` };
    const answer = await ask("/session", { method: "POST", headers }).catch(() => null);
    if (answer?.ok) break;
    sentence = answer
      ? t("That was not the API's token (API_TOKEN):")
      : t("The API does not answer. Its token (API_TOKEN) once more:");
  }
  sessions += 1;
  return true;
}
