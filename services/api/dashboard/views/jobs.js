// The view of all jobs: slot, form, filters, table, and what to do where there is nothing.

import { button, el, setText } from "../lib/dom.js";
import { Filters } from "../parts/filters.js";
import { SlotPanel } from "../parts/slotpanel.js";
import { SubmitPanel } from "../parts/submit.js";
import { linkTo } from "../parts/tabs.js";
import { JobTable } from "../parts/table.js";
import { t } from "../lib/texts.js";

const TICK_MILLISECONDS = 1000;

/** One of the page's views; `draw` shows what has changed. */
export class JobsView {
  title = "Jobs";
  #store;
  #address;
  #slots;
  #complete = false;
  #empty = el("div", { class: "empty" });

  constructor({ store, address, slots, mocks }) {
    this.#store = store;
    this.#address = address;
    this.#slots = slots;
    const open = (jobId) => address.go({ job: jobId });
    this.form = new SubmitPanel({ lead: (ids, tag) => this.#lead(ids, tag) });
    this.filters = new Filters({ store, address });
    this.panel = new SlotPanel({ slots, store, open });
    this.table = new JobTable({ store, address, slots, mocks });
    this.element = el(
      "div",
      { class: "view" },
      el("div", { class: "panels" }, this.panel.element, this.form.element),
      el(
        "section",
        { class: "panel wide", "aria-labelledby": "jobs-title" },
        el("h2", { id: "jobs-title" }, t("Jobs")),
        this.filters.element,
        this.#empty,
        this.table.element,
      ),
    );
    slots.listen(() => this.#slotsChanged());
    setInterval(() => this.#tick(), TICK_MILLISECONDS);
  }

  draw(changed = null) {
    this.#slots.reckon();
    this.filters.draw();
    this.table.draw(changed);
    this.panel.draw();
    this.#sayEmpty();
  }

  /** Everything that the API has was received. */
  complete() {
    this.#complete = true;
    this.#sayEmpty();
  }

  // One job opens in the drawer, several of a tag as a batch, others by what is searched for.
  #lead(ids, tag) {
    if (ids.length === 1) return linkTo(this.#address, { job: ids[0] }, t("Open it"));
    if (tag) return linkTo(this.#address, { view: "batches", tag }, t("Show the batch"));
    return linkTo(this.#address, { sort: "newest", page: "1" }, t("Show the newest"));
  }

  #slotsChanged() {
    if (this.element.isConnected) this.draw(new Set());
  }

  #tick() {
    if (document.hidden || !this.element.isConnected) return;
    this.table.tick();
    this.panel.draw();
  }

  #sayEmpty() {
    this.#empty.hidden = !this.table.element.hidden;
    if (this.#empty.hidden) return;
    const state = this.#address.state;
    if (this.#store.size > 0) this.#nothingFits(state);
    else if (this.#complete) this.#nothingYet();
    else this.#say(t("Loading the jobs…"));
  }

  #say(sentence, ...more) {
    if (this.#empty.dataset.says === sentence) return;
    this.#empty.dataset.says = sentence;
    this.#empty.replaceChildren(el("p", {}, sentence), ...more);
  }

  #nothingYet() {
    const code = (text) => el("code", {}, text);
    this.#say(
      t("No jobs yet."),
      el(
        "p",
        { class: "hint" },
        t("Write a prompt above and press Submit, or run "),
        code("make test-10"),
        t(" in a terminal for ten of them."),
      ),
      button(t("Write a prompt"), () => this.form.focus()),
    );
  }

  #nothingFits() {
    this.#say(
      t("No job fits these filters."),
      button(t("Show all jobs"), () => this.#address.go({ status: "", tag: "", q: "", within: "", page: "1" })),
    );
  }
}
