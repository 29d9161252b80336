// The live table: one page of the chosen jobs, and what is done with all of them at once.

import { arrange, button, el, notify, setText } from "../lib/dom.js";
import { call, jobPath } from "../lib/api.js";
import { count } from "../lib/format.js";
import { canRetry, fits, hasEnded, sort } from "../data/jobs.js";
import { LOCALE, t } from "../lib/texts.js";
import { COLUMNS, Row } from "./row.js";

const PAGE_SIZE = 200;
const AT_ONCE = 4;

/** Draws the store's jobs as the address asks for. */
export class JobTable {
  #store;
  #address;
  #slots;
  #mocks;
  #rows = new Map();
  #pressed = null;
  #bulk;
  #body = el("tbody", { role: "rowgroup" });
  #caption = el("caption", { class: "count" });
  #pager = el("nav", { class: "pager", "aria-label": t("Pages") });

  constructor({ store, address, slots, mocks }) {
    this.#store = store;
    this.#address = address;
    this.#slots = slots;
    this.#mocks = mocks;
    this.#bulk = new Bulk(store);
    this.#body.addEventListener("pointerdown", (event) => {
      this.#pressed = event.target.closest("tr");
    });
    this.#body.addEventListener("click", (event) => this.#open(event));
    this.#body.addEventListener("keydown", (event) => this.#step(event));
    const head = COLUMNS.map((name) => el("th", { scope: "col", role: "columnheader" }, t(name)));
    const line = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head));
    const table = el("table", { class: "jobs", role: "table" }, this.#caption, line, this.#body);
    this.element = el("div", { class: "wide" }, this.#bulk.element, table, this.#pager);
  }

  /** Chooses, sorts and draws; `changed` names the jobs to draw again, all without it. */
  draw(changed = null) {
    const state = this.#address.state;
    const chosen = this.#store.all().filter((job) => fits(job, state));
    sort(chosen, state.sort, this.#slots.turns);
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE_SIZE));
    const page = Math.min(Math.max(1, Number(state.page) || 1), pages);
    this.#fill(chosen.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE), changed);
    // Without a filter, one slip would cancel everything.
    this.#bulk.show(state.status || state.tag || state.q ? chosen : []);
    const jobs = count(this.#store.size, "job");
    const some = t("{n} of {jobs}", { n: chosen.length.toLocaleString(LOCALE), jobs });
    setText(this.#caption, chosen.length === this.#store.size ? jobs : some);
    this.element.hidden = chosen.length === 0;
    this.#pager.hidden = pages === 1;
    if (pages > 1) this.#pager.replaceChildren(...this.#steps(page, pages));
  }

  /** Rewrites ages and times of the lines in view. */
  tick() {
    const facts = this.#facts();
    for (const row of this.#rows.values()) row.tick(facts);
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
    arrange(this.#body, [...rows.values()].map((row) => row.element));
  }

  #facts() {
    const { turns, paused } = this.#slots;
    return {
      turns,
      paused,
      hits: (jobId) => this.#mocks.hitsOf(jobId).length,
      shownAs: (job) => this.#store.shownAs(job),
    };
  }

  // Lines move while jobs go on: the line that was pressed counts, not one that has moved there.
  #open(event) {
    const isByKey = event.detail === 0;
    const line = isByKey ? event.target.closest("tr") : this.#pressed;
    if (line === null || String(getSelection()) !== "") return;
    this.#rows.get(line.dataset.job)?.focus();
    this.#address.go({ job: line.dataset.job });
  }

  // The arrow keys lead from a line's title to the next one's.
  #step(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const line = way && event.target.matches(".title") && event.target.closest("tr")[way];
    if (!line) return;
    event.preventDefault();
    line.querySelector(".title").focus();
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
      step(t("← Previous"), page - 1),
      el("span", {}, t("page {page} of {pages}", { page, pages })),
      step(t("Next →"), page + 1),
    ];
  }
}

/** Two buttons that cancel or retry all jobs that fit the filters. */
class Bulk {
  #store;
  #open = [];
  #again = [];
  #cancel = button("", () => this.#cancelAll(), { class: "danger" });
  #retry = button("", () => this.#retryAll());
  element = el("p", { class: "bulk" }, this.#cancel, this.#retry);

  constructor(store) {
    this.#store = store;
  }

  show(jobs) {
    this.#open = jobs.filter((job) => !hasEnded(job) && !this.#store.isCancelling(job.job_id));
    this.#again = jobs.filter(canRetry);
    setText(this.#cancel, t("Cancel {n}", { n: this.#open.length }));
    setText(this.#retry, t("Retry {n}", { n: this.#again.length }));
    this.#cancel.hidden = this.#open.length === 0;
    this.#retry.hidden = this.#again.length === 0;
  }

  #cancelAll() {
    return each(this.#open, "Cancel {jobs}?", "Cancellation of {jobs} requested.", async (jobId) => {
      await call("POST", jobPath(jobId, "/cancel"));
      this.#store.noteCancelling(jobId);
    });
  }

  #retryAll() {
    const question = "Retry {jobs}? New generations are charged again.";
    return each(this.#again, question, "{jobs} started again as new jobs.", (jobId) =>
      call("POST", jobPath(jobId, "/retry")),
    );
  }
}

// One that is refused holds up no other.
async function each(jobs, question, done, work) {
  if (!window.confirm(t(question, { jobs: count(jobs.length, "job") }))) return;
  const waiting = jobs.map((job) => job.job_id);
  const refusals = [];
  const lane = async () => {
    for (let jobId = waiting.shift(); jobId !== undefined; jobId = waiting.shift())
      await work(jobId).catch((failure) => refusals.push(failure.message));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const well = jobs.length - refusals.length;
  if (well > 0) notify(t(done, { jobs: count(well, "job") }));
  const refused = { jobs: count(refusals.length, "job"), why: refusals[0] };
  if (refusals.length > 0) notify(t("{jobs} refused: {why}", refused), "bad");
}
