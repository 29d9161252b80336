// Makes and changes elements; text from outside only ever becomes a text node.

/** An element with attributes (a function listens, `true` is an empty value) and children. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) setAttribute(element, key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function setAttribute(element, key, value) {
  if (typeof value === "function") element.addEventListener(key, value);
  else if (value === true) element.setAttribute(key, "");
  else if (value !== false && value !== null && value !== undefined)
    element.setAttribute(key, value);
}

/** A table that is moved sideways where it is too wide, by the keyboard as well. */
export function sideways(title, table) {
  const wrapped = { class: "sideways", role: "group", tabindex: "0", "aria-labelledby": title };
  return el("div", wrapped, table);
}

/** A table that becomes one of cards on a narrow screen; what it is stays told. */
export function cards(title, columns, body) {
  body.setAttribute("role", "rowgroup");
  const head = columns.map((name) => el("th", { scope: "col", role: "columnheader" }, name));
  const line = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head));
  const named = { class: "cards", role: "table", "aria-labelledby": title };
  return sideways(title, el("table", named, line, body));
}

/** A line of such a table, its first cell the head of the line. */
export function card(columns, values, attributes = {}) {
  const [first, ...others] = values;
  return el(
    "tr",
    { role: "row", ...attributes },
    el("th", { scope: "row", role: "rowheader" }, first),
    ...others.map((value, place) =>
      el("td", { role: "cell", "data-label": columns[place + 1] }, value),
    ),
  );
}

/** Writes a text only where it differs, so that nothing is laid out or read aloud for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets, changes or (for null) removes an attribute, only where it differs. */
export function setOr(element, key, value) {
  if (value === null) element.removeAttribute(key);
  else if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
}

/** Puts these children in this order, moving as few as it takes, and keeps the focus. */
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

/** A button that can't be pressed twice while its work is under way. */
export function button(text, work, attributes = {}) {
  const element = el("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", async (event) => {
    element.disabled = true;
    try {
      await work(event);
    } finally {
      element.disabled = false;
    }
  });
  return element;
}
