// The view of all jobs: slot, form, filters, table, and what to do if there is nothing.

import { button, el, field, linkTo, panel, select, setOr, setText } from "../lib/dom.js";
import { STATUSES, tally } from "../data/jobs.js";
import { SlotPanel } from "./slot.js";
import { SubmitPanel } from "./submit.js";
import { JobTable } from "./table.js";
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
    this.form = new SubmitPanel({ lead: (ids, tag) => this.#lead(ids, tag) });
    this.filters = new Filters({ store, address });
    this.slot = new SlotPanel({ slots, store, open: (jobId) => address.go({ job: jobId }) });
    this.table = new JobTable({ store, address, slots, mocks });
    const above = el("div", { class: "panels" }, this.slot.element, this.form.element);
    const parts = [this.filters.element, this.#empty, this.table.element];
    this.element = el("div", { class: "view" }, above, panel("jobs", t("Jobs"), ...parts));
    slots.listen(() => this.element.isConnected && this.draw(new Set()));
    setInterval(() => this.#tick(), TICK_MILLISECONDS);
  }

  draw(changed = null) {
    this.#slots.reckon();
    this.filters.draw();
    this.table.draw(changed);
    this.slot.draw();
    this.#drawEmpty();
  }

  /** Everything that the API has was received. */
  complete() {
    this.#complete = true;
    this.#drawEmpty();
  }

  // One job opens in the drawer, several of a tag as a batch.
  #lead(ids, tag) {
    if (ids.length === 1) return linkTo(this.#address, { job: ids[0] }, t("Open"));
    return tag ? linkTo(this.#address, { view: "batches", tag }, t("Show the batch")) : null;
  }

  #tick() {
    if (document.hidden || !this.element.isConnected) return;
    this.table.tick();
    this.slot.draw();
  }

  #drawEmpty() {
    this.#empty.hidden = !this.table.element.hidden;
    if (this.#empty.hidden) return;
    if (this.#store.size > 0) {
      const all = { status: "", tag: "", q: "", page: "1" };
      const show = button(t("Show all jobs"), () => this.#address.go(all));
      this.#say(t("No job matches these filters."), show);
    } else if (this.#complete) {
      const hint = el("p", { class: "hint" }, t("In a terminal: "), el("code", {}, "make test-10"));
      this.#say(t("No jobs yet."), hint, button(t("Write a prompt"), () => this.form.focus()));
    } else {
      this.#say(t("Loading the jobs…"));
    }
  }

  #say(sentence, ...more) {
    if (this.#empty.dataset.says === sentence) return;
    this.#empty.dataset.says = sentence;
    this.#empty.replaceChildren(el("p", {}, sentence), ...more);
  }
}

/** Buttons per status with their counts, a search field, tags, order; the address has them. */
class Filters {
  #store;
  #address;
  #chips = new Map();
  #search = el("input", {
    type: "search",
    id: "search",
    placeholder: t("Prompt, style, tag, id, error"),
    autocomplete: "off",
    // Typing leaves no step back.
    input: () => this.#address.go({ q: this.#search.value, page: "1" }, { replace: true }),
  });
  #tag = this.#select("tag", { "": t("any tag") });
  #sort = this.#select("sort", {
    active: t("active first"),
    newest: t("newest first"),
    oldest: t("oldest first"),
  });

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    for (const status of STATUSES) this.#chips.set(status, this.#newChip(status));
    const chips = [...this.#chips.values()].map((chip) => chip.element);
    this.element = el(
      "form",
      {
        class: "filters",
        role: "search",
        "aria-label": t("Filter the jobs"),
        submit: (event) => event.preventDefault(),
      },
      el("div", { class: "chips", role: "group", "aria-label": t("Status") }, ...chips),
      field(t("Search"), this.#search),
      field(t("With tag"), this.#tag),
      field(t("Order"), this.#sort),
    );
  }

  draw() {
    const state = this.#address.state;
    const counts = tally(this.#store.all(), state);
    const chosen = state.status.split(",");
    for (const [status, { element, number }] of this.#chips) {
      setText(number, String(counts[status] ?? 0));
      setOr(element, "aria-pressed", chosen.includes(status));
    }
    if (document.activeElement !== this.#search) this.#search.value = state.q;
    this.#drawTags(state.tag);
    this.#sort.value = state.sort;
  }

  focus() {
    this.#search.focus();
  }

  #select(name, options) {
    return select(name, options, ({ target }) =>
      this.#address.go({ [name]: target.value, page: "1" }),
    );
  }

  #newChip(status) {
    const number = el("span", { class: "number" }, "0");
    const toggle = () => {
      const chosen = new Set(this.#address.state.status.split(",").filter(Boolean));
      if (!chosen.delete(status)) chosen.add(status);
      this.#address.go({ status: [...chosen].join(","), page: "1" });
    };
    const attributes = { type: "button", class: "chip", "aria-pressed": "false", click: toggle };
    return { element: el("button", attributes, `${t(status)} `, number), number };
  }

  #drawTags(chosen) {
    const tags = new Set(this.#store.all().map((job) => job.tag).filter(Boolean));
    if (chosen) tags.add(chosen);
    const wanted = ["", ...[...tags].sort().reverse()];
    const present = [...this.#tag.options].map((option) => option.value);
    if (wanted.join("\n") !== present.join("\n")) {
      const options = wanted.map((value) => el("option", { value }, value || t("any tag")));
      this.#tag.replaceChildren(...options);
    }
    this.#tag.value = chosen;
  }
}
