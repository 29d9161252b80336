// What went wrong, in the page's language: by its sentence where that is known, else by its code.

import { STATUSES } from "./statuses.js";
import { LANGUAGE, t, table } from "./texts.js";

// In English, and where the table does not arrive, all stays as the services say it.
const TABLE = await table("errors");
const SPECIAL = /[.*+?^${}()|[\]\\]/g;
const CODE = /^[a-z]+(_[a-z]+)*$/;
const BLANK = /\{(\w+)\}/g;
const length = (text) => text.replace(BLANK, "").length;
// Of several that fit, one that begins with a word, and the one that says most.
const FORMS = Object.keys(TABLE)
  .filter((text) => text.includes("{"))
  .sort((one, other) => one.startsWith("{") - other.startsWith("{") || length(other) - length(one))
  .map((text) => [TABLE[text], formOf(text)]);

// A group's name may not begin with a digit.
function formOf(text) {
  const source = text.replace(SPECIAL, "\\$&").replace(/\\\{(\w+)\\\}/g, "(?<_$1>.+?)");
  return new RegExp(`^${source}$`, "s");
}

/** A sentence of the services; what of it isn't known stays as it is. */
export function sentenceText(sentence) {
  return found(sentence) ?? sentence;
}

function found(sentence) {
  if (Object.hasOwn(TABLE, sentence)) return TABLE[sentence];
  for (const [chinese, form] of FORMS) {
    const parts = form.exec(sentence)?.groups;
    if (parts) return chinese.replace(BLANK, (_, name) => partText(parts[`_${name}`]));
  }
  return null;
}

// A tag, say, stays as it is.
function partText(part) {
  return STATUSES.includes(part) ? t(part) : (part.includes(" ") && found(part)) || part;
}

/** Why something is not ready: one reason, or several behind the names of what they are of. */
export function reasonsText(detail) {
  if (LANGUAGE === "en") return detail;
  return found(detail) ?? detail.split(/; (?=[a-z]+: )/).map(reasonText).join("；");
}

function reasonText(reason) {
  const [name, ...rest] = reason.split(": ");
  return rest.length ? `${name}：${sentenceText(rest.join(": "))}` : sentenceText(reason);
}

/** An error by its sentence; where that isn't known by its code, with the sentence behind it. */
export function errorText({ code, message }) {
  const named = CODE.test(code) && Object.hasOwn(TABLE, code) ? `${TABLE[code]}（${message}）` : message;
  return found(message) ?? named;
}
