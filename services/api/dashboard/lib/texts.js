// The page's language and its texts: the English text is the key, the tables have the Chinese one.

const LOCALES = { en: "en", zh: "zh-CN" };
const LIMIT_MILLISECONDS = 10_000;

/** `?lang=` decides, else what the browser prefers of the two. */
function chosen() {
  const asked = new URLSearchParams(location.search).get("lang");
  const preferred = navigator.languages.map((each) => each.slice(0, 2).toLowerCase());
  return [asked, ...preferred].find((each) => Object.hasOwn(LOCALES, each)) ?? "en";
}

export const LANGUAGE = chosen();
export const LOCALE = LOCALES[LANGUAGE];
const OTHERS = { en: { lang: "zh", name: "中文" }, zh: { lang: "en", name: "English" } };
/** The other language, and its name in itself. */
export const OTHER = OTHERS[LANGUAGE];

// The page's own texts, and what the services say. A table that does not arrive leaves English.
const [PAGE, SERVICES] = await Promise.all(["texts", "errors"].map(table));

async function table(name) {
  if (LANGUAGE === "en") return {};
  const options = { signal: AbortSignal.timeout(LIMIT_MILLISECONDS) };
  const answer = await fetch(`/dashboard/${name}.json`, options).catch(() => null);
  return (answer?.ok && (await answer.json().catch(() => null))) || {};
}

/** A text in the page's language, each `{name}` replaced by the value of that name. */
export function t(text, values = {}) {
  const found = Object.hasOwn(PAGE, text) ? PAGE[text] : text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Several texts in a row. */
export const listed = (texts) => texts.join(t(", "));

/** Translates what the HTML says by itself. */
export function translate(root) {
  root.lang = LOCALE;
  for (const element of root.querySelectorAll("[data-t]")) {
    const label = element.getAttribute("aria-label");
    if (label === null) element.textContent = t(element.textContent);
    else element.setAttribute("aria-label", t(label));
  }
}

const BLANK = /\{(\w+)\}/g;
const SPECIAL = /[.*+?^${}()|[\]\\]/g;
const CODE = /^[a-z]+(_[a-z]+)*$/;
const length = (text) => text.replace(BLANK, "").length;

// Of several forms that fit, one that begins with a word, and the one with the most words.
const FORMS = Object.keys(SERVICES)
  .filter((text) => text.includes("{"))
  .sort((one, other) => one.startsWith("{") - other.startsWith("{") || length(other) - length(one))
  .map((text) => [SERVICES[text], formOf(text)]);

// A group's name may not begin with a digit.
function formOf(text) {
  const source = text.replace(SPECIAL, "\\$&").replace(/\\\{(\w+)\\\}/g, "(?<_$1>.+?)");
  return new RegExp(`^${source}$`, "s");
}

/** A sentence of the services, or a note of a record; what is not known stays as it is. */
export const sentenceText = (sentence) => found(sentence) ?? sentence;

function found(sentence) {
  if (Object.hasOwn(SERVICES, sentence)) return SERVICES[sentence];
  for (const [chinese, form] of FORMS) {
    const parts = form.exec(sentence)?.groups;
    if (parts) return chinese.replace(BLANK, (_, name) => partText(parts[`_${name}`]));
  }
  return null;
}

// A tag, for example, stays as it is.
const STATUSES = ["queued", "running", "succeeded", "degraded", "failed", "cancelled"];
const WORDS = [...STATUSES, "image", "video"];

function partText(part) {
  if (WORDS.includes(part)) return t(part);
  return (part.includes(" ") && found(part)) || part;
}

/** Why something is not ready: one reason, or several that are named. */
export function reasonsText(detail) {
  if (LANGUAGE === "en") return detail;
  return found(detail) ?? detail.split(/; (?=[a-z]+: )/).map(reasonText).join("；");
}

function reasonText(reason) {
  const [name, ...rest] = reason.split(": ");
  return rest.length ? `${name}：${sentenceText(rest.join(": "))}` : sentenceText(reason);
}

/** An error by its sentence; if that is not known, by its code with the sentence behind it. */
export function errorText({ code, message }) {
  const isKnown = CODE.test(code) && Object.hasOwn(SERVICES, code);
  return found(message) ?? (isKnown ? `${SERVICES[code]}（${message}）` : message);
}
