// The live table: one page of the chosen jobs; only lines whose job changed are touched.

import { arrange, el, setText } from "../lib/dom.js";
import { fits, ordered } from "../data/choose.js";
import { hasEnded } from "../data/jobs.js";
import { count } from "../lib/format.js";
import { COLUMNS, Row } from "./row.js";
import { Selection } from "./selection.js";
import { LOCALE, t } from "../lib/texts.js";

export const PAGE_SIZE = 200;

/** Draws the store's jobs as the address asks for. */
export class JobTable {
  #store;
  #address;
  #slots;
  #mocks;
  #rows = new Map();
  #shown = [];
  #pressed = null;
  #selection;
  #body = el("tbody", { role: "rowgroup" });
  #caption = el("caption", { class: "count" });
  #pager = el("nav", { class: "pager", "aria-label": t("Pages") });

  constructor({ store, address, slots, mocks }) {
    this.#store = store;
    this.#address = address;
    this.#slots = slots;
    this.#mocks = mocks;
    this.#body.addEventListener("pointerdown", (event) => {
      this.#pressed = event.target.closest("tr");
    });
    this.#selection = new Selection({
      store,
      changed: () => this.draw(),
      isShown: (jobId) => this.#rows.has(jobId),
    });
    this.#body.addEventListener("click", (event) => this.#open(event));
    this.#body.addEventListener("change", (event) => this.#choose(event.target));
    this.#body.addEventListener("keydown", (event) => this.#step(event));
    const head = COLUMNS.map((name) => el("th", { scope: "col", role: "columnheader" }, t(name)));
    this.element = el(
      "div",
      { class: "choosing" },
      this.#selection.element,
      el(
        "table",
        { class: "jobs", role: "table" },
        this.#caption,
        el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head)),
        this.#body,
      ),
      this.#pager,
    );
  }

  /** Chooses, orders and draws; `changed` names the jobs to draw anew, all without it. */
  draw(changed = null) {
    const state = this.#address.state;
    const chosen = [...this.#store.all()].filter((job) => fits(job, state));
    ordered(chosen, state.sort, this.#slots.turns);
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE_SIZE));
    const page = Math.min(Math.max(1, Number(state.page) || 1), pages);
    this.#fill(chosen.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE), changed);
    this.#selection.draw();
    this.#showCount(chosen.length, { page, pages });
  }

  /** Rewrites ages and times of the lines in view. */
  tick() {
    const facts = this.#facts();
    for (const job of this.#shown) this.#rows.get(job.job_id)?.tick(facts);
  }

  /** Lines move while jobs go on: what was pressed counts, not what has come there since. */
  #open(event) {
    if (event.target.closest("input")) return;
    const byKey = event.detail === 0;
    const line = byKey ? event.target.closest("tr") : this.#pressed;
    if (line === null || String(getSelection()) !== "") return;
    this.#rows.get(line.dataset.job)?.focus();
    this.#address.go({ job: line.dataset.job });
  }

  /** The arrow keys lead from a line's title to the next one's. */
  #step(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const line = way && event.target.matches(".title") && event.target.closest("tr")[way];
    if (!line) return;
    event.preventDefault();
    line.querySelector(".title").focus();
  }

  #choose(box) {
    this.#selection.set(box.closest("tr").dataset.job, box.checked);
  }

  #facts() {
    const hits = (jobId) => this.#mocks.hitsOf(jobId).length;
    const { turns, paused } = this.#slots;
    const shownAs = (job) => this.#store.shownAs(job);
    const isChosen = (jobId) => this.#selection.has(jobId);
    return { turns, paused, hits, shownAs, isChosen };
  }

  #fill(jobs, changed) {
    const facts = this.#facts();
    const rows = new Map();
    for (const job of jobs) {
      const known = this.#rows.get(job.job_id);
      const row = known ?? new Row(job);
      if (known === undefined || changed === null || changed.has(job.job_id)) row.show(job, facts);
      else if (!hasEnded(job)) row.tick(facts);
      rows.set(job.job_id, row);
    }
    this.#rows = rows;
    this.#shown = jobs;
    arrange(
      this.#body,
      [...rows.values()].map((row) => row.element),
    );
  }

  #showCount(found, { page, pages }) {
    const all = this.#store.size;
    setText(
      this.#caption,
      found === all ? count(all, "job") : t("{n} of {jobs}", { n: found.toLocaleString(LOCALE), jobs: count(all, "job") }),
    );
    this.element.hidden = found === 0;
    this.#pager.hidden = pages === 1;
    if (pages > 1) this.#pager.replaceChildren(...this.#steps(page, pages));
  }

  #steps(page, pages) {
    const step = (text, to) =>
      el(
        "button",
        {
          type: "button",
          disabled: to < 1 || to > pages,
          click: () => this.#address.go({ page: String(to) }),
        },
        text,
      );
    return [
      step(t("← Before"), page - 1),
      el("span", {}, t("page {page} of {pages}", { page, pages })),
      step(t("Next →"), page + 1),
    ];
  }
}
