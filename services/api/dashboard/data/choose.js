// Which jobs are shown, and in what order; knows no element.

import { between } from "../lib/format.js";
import { t } from "../lib/texts.js";

const RANK = { running: 0, queued: 1 };

/** How long ago a job may have been submitted, in seconds. */
export const SPANS = { "15min": 900, "1h": 3600, "24h": 86400, "7d": 604800 };

/** A span in words: `last 15 min`. */
export const spanText = (span) => t(`last ${span.replace(/\d+/, "$& ")}`);

/** Whether a job fits the filters: statuses (comma-separated), tag, age, words of its text. */
export function fits(job, { status, tag, q, within }) {
  if (status && !status.split(",").includes(job.status)) return false;
  if (tag && job.tag !== tag) return false;
  if (SPANS[within] !== undefined && between(job.created_at) > SPANS[within]) return false;
  return !q || contains(job, q);
}

function contains(job, q) {
  const text =
    `${job.prompt}\n${job.style}\n${job.tag ?? ""}\n${job.job_id}\n${job.error?.message ?? ""}`.toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** The jobs in order: `active` (running, then the queue by turn, then the last to end), `newest`, `oldest`. */
export function ordered(jobs, sort, turns) {
  // What came first over the feed must not matter where two are equal.
  return jobs.sort((a, b) => compare(a, b, sort, turns) || (a.job_id < b.job_id ? -1 : 1));
}

function compare(a, b, sort, turns) {
  if (sort === "newest") return later(a.created_at, b.created_at);
  if (sort === "oldest") return later(b.created_at, a.created_at);
  return byActivity(a, b, turns);
}

function byActivity(a, b, turns) {
  const [left, right] = [RANK[a.status] ?? 2, RANK[b.status] ?? 2];
  if (left !== right) return left - right;
  if (left === 2) return later(a.finished_at ?? a.created_at, b.finished_at ?? b.created_at);
  const [first, second] = [turns.get(a.job_id) ?? Infinity, turns.get(b.job_id) ?? Infinity];
  return first === second ? later(b.created_at, a.created_at) : first - second;
}

// Instants of one API compare as text as long as they are of one length; parsing costs more.
function later(a, b) {
  if (a === b) return 0;
  return a < b ? 1 : -1;
}

/** How many jobs there are of each status, among those that fit the other filters. */
export function tally(jobs, filters) {
  const counts = {};
  for (const job of jobs) {
    if (fits(job, { ...filters, status: "" })) counts[job.status] = (counts[job.status] ?? 0) + 1;
  }
  return counts;
}
