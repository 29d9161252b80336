// The batch view: all jobs of a tag together, how many at once, how well, and how they ran in time.

import { summaries } from "../data/batch.js";
import { el, setText, sideways } from "../lib/dom.js";
import { duration } from "../lib/format.js";
import { Gantt } from "../parts/gantt.js";
import { reportLink } from "../parts/reports.js";

// Bars are drawn anew at most this often.
const DRAW_MILLISECONDS = 500;
const COLUMNS = ["Tag", "Jobs", "Ended", "Succeeded", "Most at once", "Took"];

/** A table of tags, and under it the chosen one. */
export class BatchesView {
  title = "Batches";
  #store;
  #address;
  #waiting = 0;
  #body = el("tbody");
  #empty = el("p", { class: "hint" });
  #chosen = el("section", { class: "panel", "aria-labelledby": "batch-title", hidden: true });
  #name = el("h2", { id: "batch-title" });
  #figures = el("p", { class: "hint" });
  #links = el("p", { class: "links" });
  #gantt = new Gantt((jobId) => this.#address.go({ job: jobId }));
  #linked = "";

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    const head = COLUMNS.map((name) => el("th", { scope: "col" }, name));
    this.#chosen.append(this.#name, this.#figures, this.#links, this.#gantt.element);
    this.element = el(
      "div",
      { class: "view" },
      el(
        "section",
        { class: "panel", "aria-labelledby": "batches-title" },
        el("h2", { id: "batches-title" }, "Batches"),
        this.#empty,
        sideways(
          "batches-title",
          el(
            "table",
            { "aria-labelledby": "batches-title" },
            el("thead", {}, el("tr", {}, ...head)),
            this.#body,
          ),
        ),
      ),
      this.#chosen,
    );
  }

  enter() {
    this.#drawNow();
  }

  leave() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
  }

  draw(changed) {
    if (changed === null) this.#drawNow();
    else this.#waiting ||= setTimeout(() => this.#drawNow(), DRAW_MILLISECONDS);
  }

  #drawNow() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    const batches = summaries(this.#store.all());
    this.#body.replaceChildren(...batches.map((batch) => this.#line(batch)));
    setText(
      this.#empty,
      batches.length ? "" : "No job has a tag yet. Give one in the form, or run: make test-10",
    );
    const tag = this.#address.state.tag || batches[0]?.tag;
    this.#show(batches.find((batch) => batch.tag === tag));
  }

  #line(batch) {
    const link = el(
      "a",
      {
        href: this.#address.with({ tag: batch.tag }),
        dir: "auto",
        click: (event) => this.#choose(event, batch.tag),
      },
      batch.tag,
    );
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, link),
      ...[batch.jobs.length, batch.ended, rate(batch), batch.atOnce, duration(batch.seconds)].map(
        (value) => el("td", {}, String(value)),
      ),
    );
  }

  #choose(event, tag) {
    event.preventDefault();
    this.#address.go({ tag });
  }

  #show(batch) {
    this.#chosen.hidden = batch === undefined;
    if (batch === undefined) return;
    setText(this.#name, batch.tag);
    const counts = Object.entries(batch.counts).map(([status, number]) => `${number} ${status}`);
    setText(
      this.#figures,
      `${counts.join(", ")} · at most ${batch.atOnce} at once · ${duration(batch.seconds)} from the first start`,
    );
    this.#gantt.draw(batch.jobs);
    if (this.#linked !== batch.tag) this.#link(batch.tag);
  }

  async #link(tag) {
    this.#linked = tag;
    const inTable = el(
      "a",
      { href: this.#address.with({ view: "jobs", tag }) },
      "These jobs in the table",
    );
    this.#links.replaceChildren(inTable);
    const report = await reportLink(tag);
    if (report && this.#linked === tag) this.#links.append(report);
  }
}

function rate({ counts, ended }) {
  return ended ? `${Math.round((100 * (counts.succeeded ?? 0)) / ended)} %` : "–";
}
