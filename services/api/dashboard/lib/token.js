// The token for calls that change something: asked for when the API wants it, kept for this tab.

const KEY = "genvideo.token";

/** The token that is known, or null. */
export function token() {
  return sessionStorage.getItem(KEY);
}

/** Ask for the token after `refused` (or none) was not taken; whether trying again makes sense. */
export function askForToken(refused) {
  if (token() !== refused) return true;
  const known = refused === null ? "This needs" : "That was not";
  const given = window.prompt(`${known} the API's token (API_TOKEN):`)?.trim();
  if (!given) return false;
  sessionStorage.setItem(KEY, given);
  return true;
}
