// Makes and changes elements; text from outside only ever becomes a text node.

import { t } from "./texts.js";

/** An element with attributes (a function listens, `true` is an empty value) and children. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that can't be pressed twice while its work is under way; unlike a disabled one it keeps the focus. */
export function button(text, work, attributes = {}) {
  const element = el("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", async (event) => {
    if (element.ariaDisabled) return;
    element.ariaDisabled = "true";
    try {
      await work(event);
    } finally {
      element.ariaDisabled = null;
    }
  });
  return element;
}

/** A job's title: a button that opens its drawer. */
export function opener(open) {
  const attributes = { type: "button", class: "title", dir: "auto", "aria-haspopup": "dialog" };
  return el("button", { ...attributes, click: open });
}

/** A link to another state of the page, followed without loading it again. */
export function linkTo(address, change, text, attributes = {}) {
  const link = el("a", attributes, text);
  follow(link, address, change);
  return link;
}

export function follow(link, address, change) {
  link.href = address.with(change);
  link.addEventListener("click", (event) => {
    // Another tab or window is the browser's own business.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    address.go(change);
  });
}

export const outside = (href, text) => el("a", { href, target: "_blank", rel: "noopener" }, text);

/** A section with a heading. */
export function panel(id, title, ...children) {
  const heading = el("h2", { id: `${id}-title` }, title);
  return el("section", { class: "panel", "aria-labelledby": heading.id }, heading, ...children);
}

/** A control (which has an id) under its label. */
export function field(label, control, ...more) {
  const named = el("label", { for: control.id }, label);
  return el("div", { class: "field" }, named, control, ...more);
}

/** A choice; `options` has a text for each value. */
export function select(id, options, change = null) {
  const made = Object.entries(options).map(([value, text]) => el("option", { value }, text));
  return el("select", { id, change }, ...made);
}

/** A table that becomes cards on a narrow screen and stays a table for a screen reader. */
export function cards(title, columns, body) {
  body.setAttribute("role", "rowgroup");
  const head = columns.map((name) => el("th", { scope: "col", role: "columnheader" }, name));
  const line = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head));
  const named = { "aria-labelledby": title };
  const table = el("table", { class: "cards", role: "table", ...named }, line, body);
  return el("div", { class: "sideways", role: "group", tabindex: "0", ...named }, table);
}

/** A line of such a table; its first cell is the line's heading. */
export function card(columns, [first, ...others], attributes = {}) {
  const cells = others.map((value, place) =>
    el("td", { role: "cell", "data-label": columns[place + 1] }, value),
  );
  const heading = el("th", { scope: "row", role: "rowheader" }, first);
  return el("tr", { role: "row", ...attributes }, heading, ...cells);
}

/** Writes a text only if it differs, so that nothing is laid out or read aloud for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets, changes or (for null) removes an attribute, only if it differs. */
export function setOr(element, key, value) {
  if (value === null) element.removeAttribute(key);
  else if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
}

/** Puts these children in this order, moves as few as possible, and keeps the focus. */
export function arrange(parent, children) {
  const focused = document.activeElement;
  const kept = new Set(children);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  let place = parent.firstElementChild;
  for (const child of children) {
    if (place !== null && place !== child && place.nextElementSibling === child) {
      // The one in the way belongs further down: it moves, not all that follow it.
      place.remove();
      place = child;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  if (focused !== document.activeElement && parent.contains(focused))
    focused.focus({ preventScroll: true });
}

const SHOWN_MILLISECONDS = 6000;
// A link has to be reached, by the keyboard as well.
const LINKED_MILLISECONDS = 20_000;
const MOST_NOTICES = 4;

/** Shows a sentence for some seconds, perhaps with a link; an error stays until it is put away. */
export function notify(sentence, kind = "good", link = null) {
  const place = document.getElementById("notices");
  const close = button("×", () => notice.remove(), { class: "quiet", "aria-label": t("Dismiss") });
  const notice = el(
    "p",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    el("span", {}, sentence, link && " ", link),
    close,
  );
  place.append(notice);
  while (place.children.length > MOST_NOTICES) place.firstElementChild.remove();
  if (kind !== "bad") removeLater(notice, link ? LINKED_MILLISECONDS : SHOWN_MILLISECONDS);
}

// Not from under a finger or the focus, which would be lost with it.
function removeLater(notice, milliseconds) {
  setTimeout(() => {
    if (notice.matches(":hover, :focus-within")) removeLater(notice, milliseconds);
    else notice.remove();
  }, milliseconds);
}

/** Does some work, and shows its failure if there is one. */
export async function attemptTo(work) {
  try {
    await work();
  } catch (error) {
    notify(error.message, "bad");
  }
}
