// The panel of the global slot: who runs, who is next, limit and pause.

import { arrange, button, el, setOr, setText } from "../lib/dom.js";
import { between, count, ticking } from "../lib/format.js";
import { overall, stepOf } from "../data/jobs.js";
import { attemptTo, notify } from "../lib/notices.js";
import { LOCALE, listed, t } from "../lib/texts.js";

const NEXT_SHOWN = 4;

/** Draws `slots` with the prompts that `store` knows. */
export class SlotPanel {
  #slots;
  #store;
  #open;
  #parts = new Map();
  #state = el("p", { class: "hint" });
  #holders = el("ul", { class: "holders", "aria-label": t("Running") });
  #waiting = el("ol", { class: "next", "aria-label": t("Next") });
  #limit = el("input", { type: "number", id: "limit", min: 1, max: 1000, required: true });
  #pause = button(t("Pause"), () => this.#toggle());

  constructor({ slots, store, open }) {
    this.#slots = slots;
    this.#store = store;
    this.#open = open;
    const set = el("button", { type: "submit" }, t("Set"));
    const form = el(
      "form",
      { class: "inline", submit: (event) => this.#setLimit(event) },
      el("label", { for: "limit" }, t("At once, at most")),
      this.#limit,
      set,
      this.#pause,
    );
    this.element = el(
      "section",
      { class: "panel", "aria-labelledby": "slot-title" },
      el("h2", { id: "slot-title" }, t("Slot")),
      this.#state,
      this.#holders,
      this.#waiting,
      form,
    );
  }

  draw() {
    const { view, error } = this.#slots;
    if (view === null) {
      setText(this.#state, error ?? t("Asking…"));
      return;
    }
    setText(this.#state, error ?? sentence(view));
    this.#state.classList.toggle("warn", view.paused || error !== null);
    setText(this.#pause, t(view.paused ? "Resume" : "Pause"));
    if (document.activeElement !== this.#limit) this.#limit.value = view.limit;
    arrange(
      this.#holders,
      view.holders.map((holder) => this.#holder(holder)),
    );
    arrange(
      this.#waiting,
      view.waiting.slice(0, NEXT_SHOWN).map((jobId) => this.#next(jobId)),
    );
    this.#forget(view);
  }

  #holder(holder) {
    const part = this.#part(`holder ${holder.job_id}`, () => this.#newHolder(holder.job_id));
    const job = this.#store.get(holder.job_id);
    setText(part.name, job?.prompt ?? holder.job_id);
    const step = job ? `${t(stepOf(job))} ${job.percent} %` : "";
    setText(
      part.note,
      `${step} · ${t(holder.draining ? "clearing up, held for {time}" : "held for {time}", { time: ticking(between(holder.since)) })}`,
    );
    setOr(part.bar, "value", job ? overall(job) : 0);
    return part.element;
  }

  #newHolder(jobId) {
    const name = el("button", {
      type: "button",
      class: "title",
      dir: "auto",
      "aria-haspopup": "dialog",
      click: () => this.#open(jobId),
    });
    const note = el("span", { class: "detail" });
    const bar = el("progress", { max: 100, value: 0, "aria-label": t("Progress") });
    return { element: el("li", {}, name, bar, note), name, note, bar };
  }

  #next(jobId) {
    const part = this.#part(`next ${jobId}`, () => {
      const name = el("button", {
        type: "button",
        class: "title",
        dir: "auto",
        "aria-haspopup": "dialog",
        click: () => this.#open(jobId),
      });
      return { element: el("li", {}, name), name };
    });
    setText(part.name, this.#store.get(jobId)?.prompt ?? jobId);
    return part.element;
  }

  #part(key, make) {
    if (!this.#parts.has(key)) this.#parts.set(key, make());
    return this.#parts.get(key);
  }

  #forget(view) {
    const kept = new Set([
      ...view.holders.map((holder) => `holder ${holder.job_id}`),
      ...view.waiting.slice(0, NEXT_SHOWN).map((jobId) => `next ${jobId}`),
    ]);
    for (const key of [...this.#parts.keys()]) if (!kept.has(key)) this.#parts.delete(key);
  }

  async #toggle() {
    const paused = !this.#slots.view?.paused;
    await attemptTo(async () => {
      await this.#slots.change({ paused });
      notify(t(paused ? "Paused: the running job ends, none starts." : "Resumed."));
    });
  }

  async #setLimit(event) {
    event.preventDefault();
    const limit = Number(this.#limit.value);
    await attemptTo(async () => {
      await this.#slots.change({ limit });
      notify(t("At most {jobs} at once.", { jobs: count(limit, "job") }));
    });
  }
}

function sentence(view) {
  const used = { n: view.holders.length, limit: view.limit };
  const running = view.holders.length ? t("{n} of {limit} in use", used) : t("free");
  const waiting = view.waiting_count
    ? t("{n} waiting", { n: view.waiting_count.toLocaleString(LOCALE) })
    : t("nobody waits");
  return (view.paused ? t("Paused; ") : "") + listed([running, waiting]);
}
