// What can be said of a job and of many: states, files, which are shown in which order, batches.

import { between } from "../lib/format.js";
import { listed, t } from "../lib/texts.js";

/** In the order in which the page lists them. */
export const STATUSES = ["running", "queued", "succeeded", "degraded", "failed", "cancelled"];
/** What a job of `genvideo` is started with. */
export const INPUT = ["prompt", "style", "tag", "priority", "on_video_failure"];
/** A generation may be tried so often in each stage. */
export const ATTEMPTS = 4;

const ENDED = new Set(["succeeded", "degraded", "failed", "cancelled"]);
const RETRYABLE = new Set(["degraded", "failed", "cancelled"]);

export const hasEnded = (job) => ENDED.has(job.status);
export const canRetry = (job) => RETRYABLE.has(job.status);

/** How often the current stage was tried. */
export const attempt = (job) => (job.step ? job.attempts[job.step] : 0);

/** Each pipeline's stages, with the kinds of their files: others come as the API knows them. */
export const PIPELINES = {
  genvideo: {
    stages: [
      { name: "image", media_type: "image/png" },
      { name: "video", media_type: "video/mp4" },
    ],
  },
};

// A job's own stages, by the attempts that it counts, if its pipeline is not known.
function stagesOf(job) {
  const unknown = Object.keys(job.attempts).map((name) => ({ name, media_type: "" }));
  return PIPELINES[job.pipeline]?.stages ?? unknown;
}

/** The stages whose results are stored, in order; what was paid for is kept, however it ends. */
export function storedStages(job) {
  const stages = stagesOf(job);
  if (job.status === "succeeded") return stages;
  const place = (name) => stages.findIndex((stage) => stage.name === name);
  // A stage begins when the one before it is stored.
  const last = (job.asset_url ?? "").split("/").at(-1);
  return stages.slice(0, Math.max(place(job.step), place(last) + 1, 0));
}

/** Whether a stage's result is of this sort: `image`, `video`, `audio`. */
export const isA = (stage, sort) => stage.media_type.startsWith(`${sort}/`);

/** The step in words. */
export function stepOf(job) {
  if (job.status === "succeeded") return t("done");
  if (job.status === "degraded")
    return t("{stage} only", { stage: t(storedStages(job).at(-1)?.name ?? "–") });
  return t(job.step ?? (job.status === "queued" ? "waiting" : "–"));
}

/** The whole job's share in percent, of which each stage has the same part. */
export function overall(job) {
  if (job.status === "succeeded") return 100;
  const stages = stagesOf(job);
  const place = stages.findIndex((stage) => stage.name === job.step);
  return place < 0 ? 0 : ((place + job.percent / 100) / stages.length) * 100;
}

/** What was paid for, by the attempts at each stage. */
export const paidFor = (attempts) =>
  listed(Object.entries(attempts).map(([stage, n]) => `${n} × ${t(stage)}`));

/** Whether a job fits the filters: statuses (comma-separated), tag, words of its text. */
export function fits(job, { status, tag, q }) {
  if (status && !status.split(",").includes(job.status)) return false;
  if (tag && job.tag !== tag) return false;
  if (!q) return true;
  const parts = [job.prompt, job.style, job.tag, job.pipeline, job.job_id, job.error?.message];
  const text = parts.join("\n").toLowerCase();
  return q.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** How many jobs there are of each status, among those that fit the other filters. */
export function tally(jobs, filters) {
  const counts = {};
  for (const job of jobs)
    if (fits(job, { ...filters, status: "" })) counts[job.status] = (counts[job.status] ?? 0) + 1;
  return counts;
}

const RANK = { running: 0, queued: 1 };

/** Sort by `active` (running, queued by turn, ended last first), `newest` or `oldest`. */
export function sort(jobs, order, turns) {
  // The order in which they came over the feed must not matter if two are equal.
  return jobs.sort((a, b) => compare(a, b, order, turns) || (a.job_id < b.job_id ? -1 : 1));
}

function compare(a, b, order, turns) {
  if (order === "newest") return later(a.created_at, b.created_at);
  if (order === "oldest") return later(b.created_at, a.created_at);
  const [left, right] = [RANK[a.status] ?? 2, RANK[b.status] ?? 2];
  if (left !== right) return left - right;
  if (left === 2) return later(a.finished_at ?? a.created_at, b.finished_at ?? b.created_at);
  const [first, second] = [turns.get(a.job_id) ?? Infinity, turns.get(b.job_id) ?? Infinity];
  return first === second ? later(b.created_at, a.created_at) : first - second;
}

// Instants of one API have one length and compare as text; parsing costs more.
function later(a, b) {
  if (a === b) return 0;
  return a < b ? 1 : -1;
}

/** Every tag with its jobs and figures, the newest tag first. */
export function batches(jobs) {
  const byTag = new Map();
  for (const job of jobs) {
    if (!job.tag) continue;
    if (!byTag.has(job.tag)) byTag.set(job.tag, []);
    byTag.get(job.tag).push(job);
  }
  const found = [...byTag].map(([tag, members]) => batch(tag, members));
  return found.sort((a, b) => later(a.newest, b.newest));
}

function batch(tag, jobs) {
  const counts = tally(jobs, {});
  const ended = jobs.filter(hasEnded).length;
  const created = jobs.map((job) => job.created_at).sort();
  const [from, newest] = [created[0], created.at(-1)];
  const finished = jobs.map((job) => job.finished_at).filter(Boolean).sort();
  // From the first submission to the last end, or to now.
  const seconds = between(from, ended === jobs.length ? finished.at(-1) : null);
  // A vendor charges for each generation that it accepted.
  const paid = {};
  for (const { attempts } of jobs)
    for (const [stage, n] of Object.entries(attempts)) paid[stage] = (paid[stage] ?? 0) + n;
  return { tag, jobs, counts, ended, from, newest, seconds, paid, atOnce: mostAtOnce(jobs) };
}

// How many ran at the same moment, at the most.
function mostAtOnce(jobs) {
  const edges = [];
  for (const { started_at: from, finished_at: to } of jobs) {
    if (from) edges.push([Date.parse(from), 1]);
    if (from && to) edges.push([Date.parse(to), -1]);
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
