// What the page shows, kept in the URL, so that a link or a reload shows the same.

import { Listened } from "../lib/listened.js";

const DEFAULTS = {
  view: "jobs",
  status: "",
  tag: "",
  q: "",
  sort: "active",
  page: "1",
  job: "",
  lang: "",
};

/** The state of the page as its address tells it. */
export class Address extends Listened {
  constructor() {
    super();
    window.addEventListener("popstate", () => this.notify());
  }

  get state() {
    const given = new URLSearchParams(location.search);
    const entry = ([key, value]) => [key, given.get(key) ?? value];
    return Object.fromEntries(Object.entries(DEFAULTS).map(entry));
  }

  /** The address with some of its state changed. */
  with(change) {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries({ ...this.state, ...change })) {
      if (value !== DEFAULTS[key]) query.set(key, value);
    }
    const text = query.toString();
    return text ? `?${text}` : location.pathname;
  }

  /** Goes there; `replace` leaves no step back, as while typing. */
  go(change, { replace = false } = {}) {
    const target = this.with(change);
    if (replace) history.replaceState(null, "", target);
    else history.pushState(null, "", target);
    this.notify();
  }
}
