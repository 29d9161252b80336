// The view over time: throughput, queue, failures and idle slot, of the time that is chosen.

import { el, setText } from "../lib/dom.js";
import { count, dated } from "../lib/format.js";
import { SPANS, spanOf, spanText } from "../data/choose.js";
import { t } from "../lib/texts.js";
import { trends } from "../data/trends.js";
import { Chart } from "../parts/chart.js";

const DRAW_MILLISECONDS = 1000;
const tidy = (value) => String(Number(value.toPrecision(2)));

/** Four charts over one time; redrawn once a second while it is looked at. */
export class TrendsView {
  title = t("Over time");
  #store;
  #address;
  #timer = 0;
  #charts = {
    ended: new Chart(t("Ended"), "ended", (value) => t("{n} a minute", { n: tidy(value) })),
    waiting: new Chart(t("Queue"), "waiting", (value) => count(value, "job")),
    failed: new Chart(t("Failed"), "failed", (value) => count(value, "job")),
    idle: new Chart(t("Idle, though jobs waited"), "idle", (value) =>
      t("{n} % of the time", { n: tidy(value) }),
    ),
  };
  #span = el(
    "select",
    { id: "over", change: () => this.#address.go({ within: this.#span.value }) },
    ...Object.keys(SPANS).map((span) => el("option", { value: span }, spanText(span))),
  );
  #axis = el("p", { class: "hint" });

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    const span = el("div", { class: "field" }, el("label", { for: "over" }, t("Looked back on")), this.#span);
    this.element = el(
      "div",
      { class: "view" },
      el(
        "section",
        { class: "panel", "aria-labelledby": "trends-title" },
        el("h2", { id: "trends-title" }, t("Over time")),
        el("div", { class: "filters" }, span),
        el("div", { class: "charts" }, ...Object.values(this.#charts).map((each) => each.element)),
        this.#axis,
      ),
    );
  }

  enter() {
    this.#timer = setInterval(() => this.#drawNow(), DRAW_MILLISECONDS);
    this.#drawNow();
  }

  leave() {
    clearInterval(this.#timer);
  }

  draw(changed) {
    if (changed === null) this.#drawNow();
  }

  #drawNow() {
    const span = spanOf(this.#address.state.within);
    if (this.#span.value !== span) this.#span.value = span;
    const found = trends(this.#store.all(), SPANS[span], Date.now());
    for (const [name, chart] of Object.entries(this.#charts)) chart.draw(found[name], found);
    const said =
      "From {from} until now, by the jobs' own times; idle is a slot that nobody held while jobs waited, as one that is paused.";
    setText(this.#axis, t(said, { from: dated(found.from) }));
  }
}
