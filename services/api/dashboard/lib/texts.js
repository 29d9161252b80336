// The page's language and its texts: the English text is the key, the table has the Chinese one.

import { ask } from "./ask.js";

const LOCALES = { en: "en", zh: "zh-CN" };

/** `?lang=` decides, else what the browser prefers of the languages that there are. */
function chosen() {
  const asked = new URLSearchParams(location.search).get("lang");
  const preferred = navigator.languages.map((each) => each.slice(0, 2).toLowerCase());
  return [asked, ...preferred].find((each) => Object.hasOwn(LOCALES, each)) ?? "en";
}

export const LANGUAGE = chosen();
export const LOCALE = LOCALES[LANGUAGE];
const NAMES = { en: { lang: "zh", name: "中文" }, zh: { lang: "en", name: "English" } };
/** The other language, and its name in itself. */
export const OTHER = NAMES[LANGUAGE];

// Without the table the page is in English, which is better than none.
const TABLE = await table("texts");

/** A table of Chinese texts by its name; in English, and where it does not arrive, an empty one. */
export async function table(name) {
  if (LANGUAGE === "en") return {};
  const answer = await ask(`/dashboard/${name}.json`).catch(() => null);
  return (answer?.ok && (await answer.json().catch(() => null))) || {};
}

/** A text in the page's language, each `{name}` replaced by the value of that name. */
export function t(text, values = {}) {
  const found = Object.hasOwn(TABLE, text) ? TABLE[text] : text;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Several texts in a row. */
export const listed = (texts) => texts.join(t(", "));

/** Puts what the HTML says by itself into the page's language. */
export function translate(root) {
  root.lang = LOCALE;
  for (const element of root.querySelectorAll("[data-t]")) {
    const label = element.getAttribute("aria-label");
    if (label === null) element.textContent = t(element.textContent);
    else element.setAttribute("aria-label", t(label));
  }
}
