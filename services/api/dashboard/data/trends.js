// What happened when, from the jobs' own times, in parts of equal length; knows no element.

import { hasEnded } from "./jobs.js";

export const PARTS = 60;
const MINUTE = 60_000;

/** Of each part of so many seconds before `now`: how many jobs have ended a minute, how many waited at the
 * most, how many failed, and what share of it nobody held the slot though somebody waited. */
export function trends(jobs, seconds, now) {
  const length = (seconds * 1000) / PARTS;
  const from = now - seconds * 1000;
  const place = (moment) => Math.floor((moment - from) / length);
  const found = { from, length, ended: parts(), waiting: parts(), failed: parts(), idle: parts() };
  const [waits, holds] = [[], []];
  for (const job of jobs) {
    const { created, started, finished } = timesOf(job, now);
    if (finished < from) continue;
    waits.push([created, started]);
    if (job.started_at) holds.push([started, finished]);
    if (!hasEnded(job)) continue;
    add(found.ended, place(finished), MINUTE / length);
    if (job.status === "failed") add(found.failed, place(finished), 1);
  }
  sweep(waits, holds, now, (start, end, waiting, holding) => {
    each(start, end, found, (part, share) => {
      found.waiting[part] = Math.max(found.waiting[part], waiting);
      if (waiting > 0 && holding === 0) found.idle[part] += 100 * share;
    });
  });
  return found;
}

const parts = () => new Array(PARTS).fill(0);

function add(into, place, amount) {
  if (place >= 0 && place < PARTS) into[place] += amount;
}

function timesOf(job, now) {
  const at = (text, other) => (text ? Date.parse(text) : other);
  const finished = at(job.finished_at, now);
  return { created: Date.parse(job.created_at), started: at(job.started_at, finished), finished };
}

// Tells of each piece of time in which as many wait and hold.
function sweep(waits, holds, now, tell) {
  const edges = [[now, 0, 0]];
  for (const [from, to] of waits) edges.push([from, 1, 0], [to, -1, 0]);
  for (const [from, to] of holds) edges.push([from, 0, 1], [to, 0, -1]);
  edges.sort((a, b) => a[0] - b[0]);
  let [before, waiting, holding] = [-Infinity, 0, 0];
  for (const [moment, more, held] of edges) {
    if (moment > before && waiting + holding > 0) tell(before, moment, waiting, holding);
    [before, waiting, holding] = [moment, waiting + more, holding + held];
  }
}

// The parts that a piece of time touches, and which share of each it is.
function each(start, end, { from, length }, tell) {
  const first = Math.max(0, Math.floor((start - from) / length));
  for (let part = first; part < PARTS && from + part * length < end; part += 1) {
    const [left, right] = [from + part * length, from + (part + 1) * length];
    tell(part, (Math.min(end, right) - Math.max(start, left)) / length);
  }
}
