// The batch view: all jobs of a tag together, how many at once, how well, and how they ran in time.

import {
  arrange,
  card,
  cards,
  el,
  linkTo,
  panel,
  setOr,
  setText,
  svg,
} from "../lib/dom.js";
import { batches, paidFor } from "../data/jobs.js";
import { between, dated, duration } from "../lib/format.js";
import { listed, t } from "../lib/texts.js";

// Bars are drawn at most this often.
const DRAW_MILLISECONDS = 500;
const FIGURES = ["Submitted", "Jobs", "Ended", "Succeeded", "Most at once", "Paid for", "Took"];
const COLUMNS = ["Tag", ...FIGURES].map((name) => t(name));

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
  #bars = el("div", { class: "gantt", click: (event) => this.#openJob(event) });
  #opened = el(
    "tr",
    { role: "row", class: "opened" },
    el(
      "td",
      { role: "cell", colspan: COLUMNS.length },
      el("div", {}, this.#figures, this.#links, this.#bars),
    ),
  );
  #linked = "";

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    const table = cards("batches-title", COLUMNS, this.#body);
    this.element = el("div", { class: "view" }, panel("batches", t("Batches"), this.#empty, table));
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
    const found = batches(this.#store.all());
    const tag = this.#address.state.tag || found[0]?.tag;
    arrange(this.#body, found.flatMap((batch) => this.#rows(batch, batch.tag === tag)));
    const empty = t("No job has a tag yet. Give one in the form, or run: make test-10");
    setText(this.#empty, found.length ? "" : empty);
  }

  #rows(batch, isChosen) {
    const { tag } = batch;
    if (!this.#lines.has(tag)) this.#lines.set(tag, this.#newLine(tag));
    const { element, link, cells } = this.#lines.get(tag);
    figuresOf(batch).forEach((value, place) => setText(cells[place], value));
    element.classList.toggle("chosen", isChosen);
    setOr(link, "aria-expanded", isChosen);
    if (!isChosen) return [element];
    this.#drawOpened(batch);
    return [element, this.#opened];
  }

  #newLine(tag) {
    const link = linkTo(this.#address, { tag }, tag, { dir: "auto", role: "button" });
    const cells = FIGURES.map(() => el("span"));
    const choose = (event) => link.contains(event.target) || this.#address.go({ tag });
    return { element: card(COLUMNS, [link, ...cells], { click: choose }), link, cells };
  }

  #drawOpened(batch) {
    const counts = Object.entries(batch.counts).map(([status, n]) => `${n} ${t(status)}`);
    const [time, when] = [duration(batch.seconds), dated(batch.from)];
    const figures = { counts: listed(counts), time, when };
    setText(this.#figures, t("{counts} · {time} from the first submission, {when}", figures));
    this.#bars.replaceChildren(...gantt(batch));
    if (this.#linked === batch.tag) return;
    this.#linked = batch.tag;
    const inTable = { view: "jobs", tag: batch.tag };
    this.#links.replaceChildren(linkTo(this.#address, inTable, t("Show in the table")));
  }

  #openJob({ target }) {
    if (target.dataset.job) this.#address.go({ job: target.dataset.job });
  }
}

function figuresOf({ from, jobs, counts, ended, atOnce, paid, seconds }) {
  return [
    dated(from),
    String(jobs.length),
    String(ended),
    ended ? `${Math.round((100 * (counts.succeeded ?? 0)) / ended)} %` : "–",
    String(atOnce),
    paidFor(paid),
    duration(seconds),
  ];
}

const WIDTH = 1000;
const ROW = 9;
const MOST_BARS = 500;
const MARKS = [0, 0.25, 0.5, 0.75, 1];

// How long each job waited and ran; a bar opens its job.
function gantt({ jobs, from, seconds }) {
  const shown = jobs.slice(0, MOST_BARS);
  const length = Math.max(0.1, seconds);
  const figures = { n: shown.length, time: duration(length) };
  const attributes = {
    viewBox: `0 0 ${WIDTH} ${shown.length * ROW}`,
    preserveAspectRatio: "none",
    role: "img",
    height: shown.length * ROW,
    "aria-label": t("{n} jobs in {time}; the table of jobs has the same figures.", figures),
  };
  const place = (instant) => (between(from, instant) * WIDTH) / length;
  const bars = shown.flatMap((job, row) => {
    const [start, end] = [job.started_at ?? job.finished_at, job.finished_at].map(place);
    const waited = bar(job, "waited", { row, from: place(job.created_at), to: start });
    if (!job.started_at) return [waited];
    return [waited, bar(job, `ran ${job.status}`, { row, from: start, to: end })];
  });
  const marks = MARKS.map((part) => el("span", {}, duration(length * part)));
  return [svg("svg", attributes, ...bars), el("div", { class: "axis" }, ...marks)];
}

function bar(job, kind, { row, from, to }) {
  const size = { x: from, y: row * ROW + 1, width: Math.max(1, to - from), height: ROW - 2 };
  const title = svg("title", {}, `${job.prompt.slice(0, 80)} · ${t(job.status)}`);
  return svg("rect", { ...size, class: kind, "data-job": job.job_id }, title);
}
