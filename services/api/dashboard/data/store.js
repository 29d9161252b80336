// Every job the page knows; an older version never replaces a newer one.

import { Listened } from "../lib/listened.js";
import { hasEnded } from "./jobs.js";

// Listeners hear of a burst of changes in strokes, which leaves frames for scrolling and typing.
const STROKE_MILLISECONDS = 100;

/** Takes jobs as they come and tells its listeners now and then, before a frame is drawn, which ones
 *  changed. */
export class JobStore extends Listened {
  #jobs = new Map();
  #cancelling = new Set();
  #changed = new Set();
  #waiting = 0;
  #toldAt = -Infinity;

  get size() {
    return this.#jobs.size;
  }

  get(jobId) {
    return this.#jobs.get(jobId);
  }

  all() {
    return [...this.#jobs.values()];
  }

  /** The jobs in the queue or running. */
  open() {
    return this.all().filter((job) => !hasEnded(job));
  }

  put(job) {
    const known = this.#jobs.get(job.job_id);
    if (known !== undefined && known.version >= job.version) return;
    this.#jobs.set(job.job_id, job);
    this.#touch(job.job_id);
  }

  /** Forgets what the API no longer knows. */
  keepOnly(jobIds) {
    for (const jobId of [...this.#jobs.keys()]) {
      if (jobIds.has(jobId)) continue;
      this.#jobs.delete(jobId);
      this.#touch(jobId);
    }
  }

  /** A job was asked to end; until it has, it is shown as `cancelling`. */
  noteCancelling(jobId) {
    if (this.isCancelling(jobId)) return;
    this.#cancelling.add(jobId);
    this.#touch(jobId);
  }

  isCancelling(jobId) {
    const job = this.#jobs.get(jobId);
    return this.#cancelling.has(jobId) && (job === undefined || !hasEnded(job));
  }

  /** The word for a job's state. */
  shownAs(job) {
    return this.isCancelling(job.job_id) ? "cancelling" : job.status;
  }

  #touch(jobId) {
    this.#changed.add(jobId);
    const pause = Math.max(0, this.#toldAt + STROKE_MILLISECONDS - performance.now());
    this.#waiting ||= setTimeout(() => requestAnimationFrame(() => this.#tell()), pause);
  }

  #tell() {
    const changed = this.#changed;
    this.#changed = new Set();
    this.#waiting = 0;
    this.#toldAt = performance.now();
    this.notify(changed);
  }
}
