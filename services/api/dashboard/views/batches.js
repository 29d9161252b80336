// The batch view: all jobs of a tag together, how many at once, and how well.

import { arrange, card, cards, el, linkTo, panel, setOr, setText } from "../lib/dom.js";
import { batches, paidFor } from "../data/jobs.js";
import { dated, duration } from "../lib/format.js";
import { listed, t } from "../lib/texts.js";

// The table is drawn at most this often.
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
  #opened = el(
    "tr",
    { role: "row", class: "opened" },
    el("td", { role: "cell", colspan: COLUMNS.length }, el("div", {}, this.#figures, this.#links)),
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
    if (this.#linked === batch.tag) return;
    this.#linked = batch.tag;
    const inTable = { view: "jobs", tag: batch.tag };
    this.#links.replaceChildren(linkTo(this.#address, inTable, t("Show in the table")));
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
