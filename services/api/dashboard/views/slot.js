// The panel of the slot: which jobs hold it, which are next, limit and pause.

import { arrange, attemptTo, button, el, notify, opener, panel } from "../lib/dom.js";
import { setOr, setText } from "../lib/dom.js";
import { between, count, ticking } from "../lib/format.js";
import { overall, stepOf } from "../data/jobs.js";
import { LOCALE, listed, t } from "../lib/texts.js";

const NEXT_SHOWN = 4;

/** Draws `slots` with the prompts that `store` knows. */
export class SlotPanel {
  #slots;
  #store;
  #open;
  #items = new Map();
  #state = el("p", { class: "hint" });
  #holders = el("ul", { class: "holders", "aria-label": t("Running") });
  #waiting = el("ol", { class: "next", "aria-label": t("Next") });
  #limit = el("input", { type: "number", id: "limit", min: 1, max: 1000, required: true });
  #pause = button(t("Pause"), () => this.#toggle());

  constructor({ slots, store, open }) {
    this.#slots = slots;
    this.#store = store;
    this.#open = open;
    const form = el(
      "form",
      { class: "inline", submit: (event) => this.#setLimit(event) },
      el("label", { for: "limit" }, t("Limit")),
      this.#limit,
      el("button", { type: "submit" }, t("Set")),
      this.#pause,
    );
    this.element = panel("slot", t("Slot"), this.#state, this.#holders, this.#waiting, form);
  }

  draw() {
    const { view, error } = this.#slots;
    setText(this.#state, error ?? (view ? sentence(view) : t("Loading…")));
    if (view === null) return;
    this.#state.classList.toggle("warn", view.paused || error !== null);
    setText(this.#pause, t(view.paused ? "Resume" : "Pause"));
    if (document.activeElement !== this.#limit) this.#limit.value = view.limit;
    // An item stays the same element, so that it keeps the focus.
    const items = new Map();
    const itemOf = (key, jobId) => {
      items.set(key, this.#items.get(key) ?? this.#newItem(jobId));
      setText(items.get(key).title, this.#store.get(jobId)?.prompt ?? jobId);
      return items.get(key);
    };
    const next = view.waiting.slice(0, NEXT_SHOWN);
    arrange(this.#waiting, next.map((jobId) => itemOf(`next ${jobId}`, jobId).element));
    arrange(
      this.#holders,
      view.holders.map((holder) => {
        const item = itemOf(`holder ${holder.job_id}`, holder.job_id);
        this.#showHolding(item, holder);
        return item.element;
      }),
    );
    this.#items = items;
  }

  #newItem(jobId) {
    const title = opener(() => this.#open(jobId));
    return { title, element: el("li", {}, title) };
  }

  #showHolding(item, { job_id: jobId, since, draining, drain_failure: why }) {
    if (item.bar === undefined) {
      item.bar = el("progress", { max: 100, value: 0, "aria-label": t("Progress") });
      item.note = el("span", { class: "detail" });
      item.element.append(item.bar, item.note);
    }
    const job = this.#store.get(jobId);
    const step = job ? `${stepOf(job)} ${job.percent} %` : "";
    const held = draining ? "draining, held for {time}" : "held for {time}";
    const parts = [step, t(held, { time: ticking(between(since)) }), why];
    setText(item.note, parts.filter(Boolean).join(" · "));
    setOr(item.bar, "value", job ? overall(job) : 0);
  }

  #toggle() {
    const paused = !this.#slots.paused;
    return attemptTo(async () => {
      await this.#slots.change({ paused });
      notify(t(paused ? "Paused: the running job ends, no other one starts." : "Resumed."));
    });
  }

  #setLimit(event) {
    event.preventDefault();
    const limit = Number(this.#limit.value);
    return attemptTo(async () => {
      await this.#slots.change({ limit });
      notify(t("At most {jobs} at once.", { jobs: count(limit, "job") }));
    });
  }
}

function sentence(view) {
  if (view.rebuilding) return t("Rebuilding from Temporal…");
  const used = { n: view.holders.length, limit: view.limit };
  const running = view.holders.length ? t("{n} of {limit} in use", used) : t("free");
  const n = view.waiting_count.toLocaleString(LOCALE);
  const waiting = view.waiting_count ? t("{n} waiting", { n }) : t("none waiting");
  return (view.paused ? t("Paused; ") : "") + listed([running, waiting]);
}
