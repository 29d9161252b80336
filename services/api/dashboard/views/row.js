// One line of the table; its cells are made once and then only changed.

import { el, opener, setOr, setText } from "../lib/dom.js";
import { between, clock, count, dated, duration, rough, ticking } from "../lib/format.js";
import { jobPath } from "../lib/api.js";
import {
  ATTEMPTS,
  PIPELINES,
  attempt,
  hasEnded,
  isA,
  overall,
  stepOf,
  storedStages,
} from "../data/jobs.js";
import { errorText, t } from "../lib/texts.js";

export const COLUMNS = ["Status", "Job", "Progress", "Attempt", "Age", "Time", "Turn"];

/** A job's line; the button in it is for the keyboard, a pointer may use all of it. */
export class Row {
  #job;
  #status = el("span");
  #thumb = el("img", {
    class: "thumb",
    alt: "",
    loading: "lazy",
    decoding: "async",
    width: 40,
    height: 40,
    hidden: true,
    error: (event) => (event.target.hidden = true),
  });
  #title = opener();
  #detail = el("span", { class: "detail", dir: "auto" });
  #bar = el("progress", { max: 100, value: 0 });
  #step = el("span", { class: "step" });
  #attempt = el("span");
  #age = el("span");
  #time = el("span");
  #turn = el("span");

  constructor(job) {
    const cells = [
      [this.#status],
      [el("div", { class: "pair" }, this.#thumb, el("div", {}, this.#title, this.#detail))],
      [this.#bar, this.#step],
      ...[this.#attempt, this.#age, this.#time, this.#turn].map((content) => [content]),
    ];
    const line = cells.map((content, place) => {
      const name = COLUMNS[place];
      const named = { "data-label": name, "data-head": t(name) };
      return el("td", { role: "cell", ...named }, ...content);
    });
    this.element = el("tr", { role: "row", "data-job": job.job_id }, ...line);
  }

  /** Shows a state of the job; `facts` are of slot, mocks and store. */
  show(job, facts) {
    this.#job = job;
    setOr(this.element, "data-status", job.status);
    setText(this.#status, t(facts.shownAs(job)));
    setOr(this.#status, "class", `status ${job.status}`);
    setText(this.#title, job.prompt);
    setText(this.#detail, describe(job));
    setOr(this.#bar, "value", overall(job));
    setOr(this.#bar, "aria-label", t("Progress of {prompt}", { prompt: job.prompt.slice(0, 60) }));
    setText(this.#step, stepText(job, facts.hits(job.job_id)));
    const tried = { n: attempt(job), most: ATTEMPTS };
    setText(this.#attempt, tried.n ? t("{n} of {most}", tried) : "–");
    const picture = storedStages(job).find((stage) => isA(stage, "image"));
    if (picture && !this.#thumb.hasAttribute("src")) {
      this.#thumb.src = jobPath(job.job_id, `/${picture.name}`);
      this.#thumb.hidden = false;
    }
    this.tick(facts);
  }

  /** Rewrites what changes with time only. */
  tick(facts) {
    const job = this.#job;
    setText(this.#age, rough(between(job.created_at)));
    setOr(this.#age, "title", t("created {when}", { when: dated(job.created_at) }));
    setText(this.#time, timeText(job, facts));
    const place = job.status === "queued" ? facts.turns.get(job.job_id) : undefined;
    setText(this.#turn, place === undefined ? "–" : String(place));
  }

  /** Where the focus comes back to. */
  focus() {
    this.#title.focus({ preventScroll: true });
  }
}

function describe(job) {
  if (job.error) return `${job.error.code}: ${errorText(job.error)}`;
  const priority = job.priority === 3 ? "" : t("priority {n}", { n: job.priority });
  const pipeline = Object.keys(PIPELINES).length > 1 ? job.pipeline : "";
  return [pipeline, job.style, job.tag ? `#${job.tag}` : "", priority].filter(Boolean).join(" · ");
}

function stepText(job, hits) {
  const step = job.status === "running" ? `${stepOf(job)} ${job.percent} %` : stepOf(job);
  return hits ? `${step} · ${count(hits, "fault")}` : step;
}

function timeText(job, { paused }) {
  const { started_at: from, finished_at: to } = job;
  if (!hasEnded(job)) {
    if (from) return ticking(between(from));
    return paused ? t("paused") : "–";
  }
  if (!from) return t("never ran");
  if (!to) return t("ended {time}", { time: clock(job.created_at) });
  return t("took {time}", { time: duration(between(from, to)) });
}
