// Bars of a batch in time: how long each job waited and ran; a bar opens its job.

import { between, duration } from "../lib/format.js";
import { t } from "../lib/texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const ROW = 9;
const MOST = 500;

/** A drawing that is made anew from the jobs; `open` gets the id of a chosen one. */
export class Gantt {
  element = document.createElement("div");
  #open;

  constructor(open) {
    this.#open = open;
    this.element.className = "gantt";
    this.element.addEventListener("click", (event) => this.#clicked(event));
  }

  /** The jobs on an axis from an instant on, so many seconds long. */
  draw({ jobs, from, seconds }) {
    const shown = jobs.slice(0, MOST);
    const length = Math.max(0.1, seconds);
    const picture = shape("svg", {
      viewBox: `0 0 ${WIDTH} ${shown.length * ROW}`,
      preserveAspectRatio: "none",
      role: "img",
      height: shown.length * ROW,
    });
    picture.setAttribute(
      "aria-label",
      t("{n} jobs in {time}; the table of jobs has the same figures.", {
        n: shown.length,
        time: duration(length),
      }),
    );
    shown.forEach((job, row) => picture.append(...bars(job, { row, from, scale: WIDTH / length })));
    this.element.replaceChildren(picture, axis(length));
  }

  #clicked(event) {
    const jobId = event.target.dataset?.job;
    if (jobId) this.#open(jobId);
  }
}

function bars(job, { row, from, scale }) {
  const start = between(from, job.created_at) * scale;
  const run = between(from, job.started_at ?? job.finished_at) * scale;
  const end = between(from, job.finished_at) * scale;
  const ran = job.started_at
    ? bar(job, { row, from: run, to: end, kind: `ran ${job.status}` })
    : null;
  return [bar(job, { row, from: start, to: run, kind: "waited" }), ran].filter(Boolean);
}

function bar(job, { row, from, to, kind }) {
  const rect = shape("rect", {
    x: from,
    y: row * ROW + 1,
    width: Math.max(1, to - from),
    height: ROW - 2,
    class: kind,
  });
  rect.dataset.job = job.job_id;
  const title = shape("title", {});
  title.textContent = `${job.prompt.slice(0, 80)} · ${t(job.status)}`;
  rect.append(title);
  return rect;
}

function axis(length) {
  const line = document.createElement("div");
  line.className = "axis";
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const mark = document.createElement("span");
    mark.textContent = duration(length * part);
    line.append(mark);
  }
  return line;
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
