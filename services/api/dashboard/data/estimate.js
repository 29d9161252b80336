// How long a job is likely to take still, from those that ended last.

import { between, ticking } from "../lib/format.js";
import { t } from "../lib/texts.js";

const LAST = 20;

/** The median seconds from start to end of the last jobs that succeeded; null before the first. */
export function typicalSeconds(jobs) {
  const ended = [...jobs].filter(
    (job) => job.status === "succeeded" && job.started_at && job.finished_at,
  );
  const last = ended.sort((a, b) => (a.finished_at < b.finished_at ? 1 : -1)).slice(0, LAST);
  const times = last.map((job) => between(job.started_at, job.finished_at)).sort((a, b) => a - b);
  return times.length ? times[Math.floor(times.length / 2)] : null;
}

/** When a job that has not ended is likely to end, in words; the slot may be paused, a job be asked to end. */
export function leftInWords(job, { paused, ...facts }) {
  if (job.status === "queued" && paused) return t("paused");
  const left = secondsLeft(job, facts);
  if (left === null) return "–";
  return left < 0 ? t("longer than usual") : t("≈ {time} left", { time: ticking(left) });
}

/** Seconds until a job's end, below 0 for one that overruns; null where nobody can tell. `turn` from 1. */
export function secondsLeft(job, { typical, turn, limit }) {
  if (typical === null) return null;
  if (job.status === "running") return typical - between(job.started_at ?? job.created_at);
  if (job.status !== "queued" || turn === undefined) return null;
  return Math.ceil(turn / limit) * typical + typical / 2;
}
