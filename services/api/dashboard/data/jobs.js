// What can be said of one job: its states, what may be done with it, which files it has.

export const STATUSES = ["running", "queued", "succeeded", "degraded", "failed", "cancelled"];
// A generation may be tried again three times per stage.
export const ATTEMPTS = 4;

const ENDED = new Set(["succeeded", "degraded", "failed", "cancelled"]);
const RETRYABLE = new Set(["degraded", "failed", "cancelled"]);

export const hasEnded = (job) => ENDED.has(job.status);
export const canRetry = (job) => RETRYABLE.has(job.status);

/** How often the current stage was tried. */
export function attempt(job) {
  return job.step ? job.attempts[job.step] : 0;
}

/** Whether its image is stored. */
export function hasImage(job) {
  return job.step === "video" || job.status === "succeeded" || job.status === "degraded";
}

export const hasVideo = (job) => job.status === "succeeded";

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
