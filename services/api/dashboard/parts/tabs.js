// The page's views and the tabs that lead to them; one is in the document at a time.

import { el, setOr } from "../lib/dom.js";
import { t } from "../lib/texts.js";

/** A link to another state of the page, which is gone to without loading it anew. */
export function linkTo(address, change, text) {
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    address.go(change);
  };
  return el("a", { href: address.with(change), click: follow }, text);
}

/** Shows the view that the address names; each has `title`, `element`, `draw`, and may `enter`, `leave`. */
export class Views {
  #views;
  #address;
  #place;
  #links = new Map();
  #current = null;

  constructor({ views, address, place, tabs }) {
    this.#views = views;
    this.#address = address;
    this.#place = place;
    for (const [name, view] of Object.entries(views)) {
      const link = el(
        "a",
        { href: address.with({ view: name }), click: (event) => this.#follow(event, name) },
        t(view.title),
      );
      this.#links.set(name, link);
      tabs.append(link);
    }
  }

  /** Takes a view away, as that of the faults where there is nothing to arm. */
  withdraw(name) {
    this.#links.get(name)?.remove();
    this.#links.delete(name);
    delete this.#views[name];
    this.draw();
  }

  draw(changed = null) {
    const wanted = this.#views[this.#address.state.view] ? this.#address.state.view : "jobs";
    if (wanted !== this.#current) this.#enter(wanted);
    this.#views[wanted].draw(changed);
  }

  #enter(name) {
    this.#views[this.#current]?.leave?.();
    this.#current = name;
    this.#place.replaceChildren(this.#views[name].element);
    for (const [each, link] of this.#links)
      setOr(link, "aria-current", each === name ? "page" : null);
    document.title = name === "jobs" ? "genvideo" : `${t(this.#views[name].title)} – genvideo`;
    this.#views[name].enter?.();
  }

  #follow(event, name) {
    // Another tab or window is the browser's own business.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#address.go({ view: name, job: "" });
    this.#links.get(name).focus();
  }
}
