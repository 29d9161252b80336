// Who held the slot lately, how long, and how long each had waited behind whom, from the jobs' own times.

import { between } from "../lib/format.js";

/** The last jobs that have begun, the newest first; `seconds` it held, `waited`, `ahead`: begun meanwhile. */
export function lastHolders(jobs, most) {
  const begun = [...jobs].filter((job) => job.started_at !== null);
  begun.sort((a, b) => (a.started_at < b.started_at ? 1 : -1));
  return begun.slice(0, most).map((job) => ({
    job,
    seconds: between(job.started_at, job.finished_at),
    waited: between(job.created_at, job.started_at),
    ahead: begun.filter((each) => isAhead(each, job)).length,
  }));
}

// It held the slot at some moment while the other one waited for it.
function isAhead(each, job) {
  const isBefore = each.started_at < job.started_at;
  return isBefore && (each.finished_at === null || each.finished_at > job.created_at);
}
