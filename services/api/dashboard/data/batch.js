// The figures of a batch, from the jobs' own times; knows no element.

import { between } from "../lib/format.js";
import { hasEnded } from "./jobs.js";

/** Every tag with its jobs and figures, the newest tag first. */
export function summaries(jobs) {
  const byTag = new Map();
  for (const job of jobs) {
    if (!job.tag) continue;
    if (!byTag.has(job.tag)) byTag.set(job.tag, []);
    byTag.get(job.tag).push(job);
  }
  const found = [...byTag].map(([tag, members]) => summary(tag, members));
  return found.sort((a, b) => (a.newest < b.newest ? 1 : -1));
}

function summary(tag, jobs) {
  const place = (job) => `${job.started_at ?? "~"} ${job.created_at} ${job.job_id}`;
  jobs.sort((a, b) => (place(a) < place(b) ? -1 : 1));
  const counts = {};
  for (const job of jobs) counts[job.status] = (counts[job.status] ?? 0) + 1;
  const ended = jobs.filter(hasEnded).length;
  const newest = jobs.reduce((last, job) => (job.created_at > last ? job.created_at : last), "");
  const from = first(jobs.map((job) => job.created_at));
  const atOnce = mostAtOnce(jobs);
  const seconds = span(jobs, from);
  return { tag, jobs, counts, ended, newest, atOnce, paid: paidFor(jobs), from, seconds };
}

/** How many ran at the same moment, at the most. */
export function mostAtOnce(jobs) {
  const edges = [];
  for (const { started_at: from, finished_at: to } of jobs) {
    if (!from) continue;
    edges.push([Date.parse(from), 1]);
    if (to) edges.push([Date.parse(to), -1]);
  }
  // One that ends in the instant in which another begins doesn't overlap it.
  edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let [now, most] = [0, 0];
  for (const [, step] of edges) {
    now += step;
    most = Math.max(most, now);
  }
  return most;
}

/** How many generations vendors have accepted, which is what they charge for. */
export function paidFor(jobs) {
  const sum = (step) => jobs.reduce((number, job) => number + job.attempts[step], 0);
  return { image: sum("image"), video: sum("video") };
}

const first = (instants) => instants.reduce((least, each) => (each < least ? each : least));

// From the first submission to the last end, or to now.
function span(jobs, from) {
  if (!jobs.every(hasEnded)) return between(from);
  return between(
    from,
    jobs.reduce((last, job) => (job.finished_at > last ? job.finished_at : last), ""),
  );
}
