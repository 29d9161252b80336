// The batch view: all jobs of a tag together, how many at once, how well, and how they ran in time.

import { summaries } from "../data/batch.js";
import { arrange, card, cards, el, setOr, setText } from "../lib/dom.js";
import { count, dated, duration } from "../lib/format.js";
import { Gantt } from "../parts/gantt.js";
import { reportLink } from "../parts/reports.js";
import { listed, t } from "../lib/texts.js";

// Bars are drawn anew at most this often.
const DRAW_MILLISECONDS = 500;
const COLUMNS = ["Tag", "Submitted", "Jobs", "Ended", "Succeeded", "Most at once", "Paid for", "Took"].map((name) => t(name));

/** A table of tags, and the chosen one opened below its line. */
export class BatchesView {
  title = "Batches";
  #store;
  #address;
  #waiting = 0;
  #lines = new Map();
  #body = el("tbody", { class: "batches" });
  #empty = el("p", { class: "hint" });
  #figures = el("p", { class: "hint" });
  #links = el("p", { class: "links" });
  #gantt = new Gantt((jobId) => this.#address.go({ job: jobId }));
  #chosen = opened(this.#figures, this.#links, this.#gantt.element);
  #linked = "";

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    this.element = el(
      "div",
      { class: "view" },
      el(
        "section",
        { class: "panel", "aria-labelledby": "batches-title" },
        el("h2", { id: "batches-title" }, t("Batches")),
        this.#empty,
        cards("batches-title", COLUMNS, this.#body),
      ),
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
    this.leave();
    const batches = summaries(this.#store.all());
    const tag = this.#address.state.tag || batches[0]?.tag;
    arrange(
      this.#body,
      batches.flatMap((batch) => this.#rows(batch, batch.tag === tag)),
    );
    setText(
      this.#empty,
      batches.length ? "" : t("No job has a tag yet. Give one in the form, or run: make test-10"),
    );
  }

  #rows(batch, chosen) {
    if (!this.#lines.has(batch.tag)) this.#lines.set(batch.tag, this.#newLine(batch.tag));
    const { element, link, cells } = this.#lines.get(batch.tag);
    figuresOf(batch).forEach((value, place) => setText(cells[place], value));
    element.classList.toggle("chosen", chosen);
    setOr(link, "aria-expanded", chosen);
    if (!chosen) return [element];
    this.#show(batch);
    return [element, this.#chosen];
  }

  #newLine(tag) {
    const link = el(
      "a",
      { href: this.#address.with({ tag }), dir: "auto", role: "button" },
      tag,
    );
    const cells = COLUMNS.slice(1).map(() => el("span"));
    const choose = (event) => this.#choose(event, tag);
    return { element: card(COLUMNS, [link, ...cells], { click: choose }), link, cells };
  }

  #choose(event, tag) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#address.go({ tag });
  }

  #show(batch) {
    const counts = Object.entries(batch.counts).map(([status, number]) => `${number} ${t(status)}`);
    setText(
      this.#figures,
      t("{counts} · {time} from the first submission, {when}", {
        counts: listed(counts),
        time: duration(batch.seconds),
        when: dated(batch.from),
      }),
    );
    this.#gantt.draw(batch);
    if (this.#linked !== batch.tag) this.#link(batch.tag);
  }

  async #link(tag) {
    this.#linked = tag;
    const inTable = el(
      "a",
      { href: this.#address.with({ view: "jobs", tag }) },
      t("These jobs in the table"),
    );
    this.#links.replaceChildren(inTable);
    const report = await reportLink(tag);
    if (report && this.#linked === tag) this.#links.append(report);
  }
}

function opened(...parts) {
  const cell = el("td", { role: "cell", colspan: COLUMNS.length }, el("div", {}, ...parts));
  return el("tr", { role: "row", class: "opened" }, cell);
}

function figuresOf(batch) {
  const { image, video } = batch.paid;
  return [
    dated(batch.from),
    String(batch.jobs.length),
    String(batch.ended),
    rate(batch),
    String(batch.atOnce),
    listed([count(image, "image"), count(video, "video")]),
    duration(batch.seconds),
  ];
}

function rate({ counts, ended }) {
  return ended ? `${Math.round((100 * (counts.succeeded ?? 0)) / ended)} %` : "–";
}
