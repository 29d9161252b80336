// One line of the table; its cells are made once and then only changed.

import { el, setOr, setText } from "../lib/dom.js";
import { between, clock, count, dated, duration, rough, ticking } from "../lib/format.js";
import { ATTEMPTS, attempt, hasEnded, hasImage, overall, stepOf } from "../data/jobs.js";
import { errorText } from "../lib/errors.js";
import { jobPath } from "../lib/http.js";
import { t } from "../lib/texts.js";

export const COLUMNS = ["Status", "Job", "Progress", "Attempt", "Age", "Time", "Turn"];

/** A job's line; the button in it is for the keyboard, a pointer may choose all of it. */
export class Row {
  #cells;
  #job;

  constructor(job) {
    this.#cells = cells();
    const {
      choice,
      thumb,
      status,
      bar,
      step,
      attempt: tried,
      age,
      time,
      turn,
      title,
      detail,
    } = this.#cells;
    this.element = el(
      "tr",
      { role: "row", "data-job": job.job_id },
      cell("Status", el("span", { class: "choice" }, choice, status)),
      el(
        "td",
        { role: "cell", class: "what" },
        el("div", { class: "pair" }, thumb, el("div", {}, title, detail)),
      ),
      el("td", { role: "cell", class: "progress", "data-label": "Progress", "data-head": t("Progress") }, bar, step),
      cell("Attempt", tried),
      cell("Age", age),
      cell("Time", time),
      cell("Turn", turn),
    );
  }

  /** Shows a state of the job; `facts` are of slot, mocks and store. */
  show(job, facts) {
    this.#job = job;
    const { status, title, detail, bar, step, attempt: tried, thumb } = this.#cells;
    setOr(this.element, "data-status", job.status);
    setText(status, t(facts.shownAs(job)));
    setOr(status, "class", `status ${job.status}`);
    setText(title, job.prompt);
    setOr(this.#cells.choice, "aria-label", t("Choose {prompt}", { prompt: job.prompt.slice(0, 60) }));
    this.choose(facts.isChosen(job.job_id));
    setText(detail, describe(job));
    setOr(bar, "value", overall(job));
    setOr(bar, "aria-label", t("Progress of {prompt}", { prompt: job.prompt.slice(0, 60) }));
    setText(step, stepText(job, facts.hits(job.job_id)));
    setText(tried, attempt(job) ? t("{n} of {most}", { n: attempt(job), most: ATTEMPTS }) : "–");
    this.#picture(thumb, job);
    this.tick(facts);
  }

  /** Shows whether it is among the chosen ones. */
  choose(chosen) {
    this.#cells.choice.checked = chosen;
  }

  /** Rewrites what time alone changes. */
  tick(facts) {
    const job = this.#job;
    const { age, time, turn } = this.#cells;
    setText(age, rough(between(job.created_at)));
    setOr(age, "title", t("created {when}", { when: dated(job.created_at) }));
    setText(time, timeText(job, facts));
    const place = job.status === "queued" ? facts.turns.get(job.job_id) : undefined;
    setText(turn, place === undefined ? "–" : String(place));
  }

  /** Where the focus comes back to. */
  focus() {
    this.#cells.title.focus({ preventScroll: true });
  }

  #picture(thumb, job) {
    if (!hasImage(job)) {
      setOr(thumb, "src", null);
      thumb.hidden = true;
      return;
    }
    setOr(thumb, "src", jobPath(job.job_id, "/thumbnail"));
    thumb.hidden = false;
  }
}

function cells() {
  return {
    choice: el("input", { type: "checkbox" }),
    thumb: el("img", {
      class: "thumb",
      alt: "",
      loading: "lazy",
      decoding: "async",
      width: 40,
      height: 40,
      hidden: true,
      error: (event) => {
        event.target.hidden = true;
      },
    }),
    status: el("span", {}),
    title: el("button", {
      type: "button",
      class: "title",
      dir: "auto",
      "aria-haspopup": "dialog",
    }),
    detail: el("span", { class: "detail", dir: "auto" }),
    bar: el("progress", { max: 100, value: 0 }),
    step: el("span", { class: "step" }),
    attempt: el("span"),
    age: el("span"),
    time: el("span"),
    turn: el("span"),
  };
}

function cell(label, content) {
  return el("td", { role: "cell", "data-label": label, "data-head": t(label) }, content);
}

function describe(job) {
  const parts = [
    job.style,
    job.tag ? `#${job.tag}` : "",
    job.priority === 3 ? "" : t("priority {n}", { n: job.priority }),
  ];
  const line = parts.filter(Boolean).join(" · ");
  return job.error ? `${job.error.code}: ${errorText(job.error)}` : line;
}

function stepText(job, hits) {
  const step = job.status === "running" ? `${t(stepOf(job))} ${job.percent} %` : t(stepOf(job));
  return hits ? `${step} · ${count(hits, "fault")}` : step;
}

function timeText(job, facts) {
  if (hasEnded(job)) {
    if (!job.started_at) return t("never ran");
    return job.finished_at
      ? t("took {time}", { time: duration(between(job.started_at, job.finished_at)) })
      : t("ended {time}", { time: clock(job.created_at) });
  }
  if (job.started_at) return t("{time} so far", { time: ticking(between(job.started_at)) });
  return facts.paused ? t("paused") : "–";
}
