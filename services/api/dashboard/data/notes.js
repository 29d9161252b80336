// The notes of a record in the page's language; a note of another form stays as it is.

import { t } from "../lib/texts.js";

const NOTES = [
  "queued again",
  "image stored; {rest}",
  "video stored",
  "video accepted, waiting for its callback",
  "waiting for the {gate} gate",
  "{step}, attempt {number} failed: {reason} ({code}; attempt {next} of {most} follows)",
  "{step}, attempt {number} of {most}",
  "{step} refused: {reason} ({code}; not asked again)",
  "{why}: waiting until the vendors are clear",
  "{reason} ({code}; attempt {next} of {most} follows)",
  "what was paid for: {assets}",
  "image, video",
  "nothing to keep",
  "ended with the image alone ({code})",
  "failed ({code})",
];
const SPECIAL = /[.*+?^${}()|[\]\\]/g;
const FORMS = NOTES.map((text) => [text, formOf(text)]);

/** A note in words. */
export function noteText(note) {
  for (const [text, form] of FORMS) {
    const found = form.exec(note);
    if (found) return t(text, inWords(found.groups ?? {}));
  }
  return t(note);
}

function inWords(parts) {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, noteText(part)]));
}

function formOf(text) {
  const source = text.replace(SPECIAL, "\\$&").replace(/\\\{(\w+)\\\}/g, "(?<$1>.+)");
  return new RegExp(`^${source}$`, "s");
}
