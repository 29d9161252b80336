// What can be said of one job: its states, what may be done with it, which files it has.

import { t } from "../lib/texts.js";

// A generation may be tried again three times per stage.
export const ATTEMPTS = 4;

const ENDED = new Set(["succeeded", "degraded", "failed", "cancelled"]);
const RETRYABLE = new Set(["degraded", "failed", "cancelled"]);

const KEPT = {
  failed: [
    "The image was paid for and kept, though the job failed.",
    "Image and video were paid for and kept, though the job failed.",
  ],
  cancelled: [
    "The image was paid for and kept, though the job was cancelled.",
    "Image and video were paid for and kept, though the job was cancelled.",
  ],
};

export const hasEnded = (job) => ENDED.has(job.status);
export const canRetry = (job) => RETRYABLE.has(job.status);

/** Whether a record says that the job was cancelled and the vendors are being cleared. */
export function isCancelling(record) {
  return !hasEnded(record) && (record.transitions.at(-1)?.note ?? "").startsWith("cancelled: ");
}

/** How often the current stage was tried. */
export function attempt(job) {
  return job.step ? job.attempts[job.step] : 0;
}

/** Whether its image is stored; what was paid for is kept, however the job ends. */
export function hasImage(job) {
  const stored = job.step === "video" || ["succeeded", "degraded"].includes(job.status);
  return stored || job.asset_url !== null;
}

export const hasVideo = (job) =>
  job.status === "succeeded" || (job.asset_url ?? "").endsWith("/video");

/** Why there are files of a job that did not succeed; null where that needs no word. */
export function whyKept(job) {
  if (job.asset_url === null || KEPT[job.status] === undefined) return null;
  return t(KEPT[job.status][hasVideo(job) ? 1 : 0]);
}

/** The step in words. */
export function stepOf(job) {
  if (job.status === "succeeded") return "done";
  if (job.status === "degraded") return "image only";
  return job.step ?? (job.status === "queued" ? "waiting" : "–");
}

/** The whole job's share in percent: the image is its first half, the video its second. */
export function overall(job) {
  if (job.status === "succeeded") return 100;
  if (job.step === null) return 0;
  return job.step === "image" ? job.percent / 2 : 50 + job.percent / 2;
}
