// What the API says about the slot, asked again and again while the page is looked at.

import { call, get } from "../lib/http.js";
import { hasEnded } from "./jobs.js";

const BUSY_MILLISECONDS = 1000;
const IDLE_MILLISECONDS = 4000;

/** The slot's state: limit, pause, holders, queue; `turns` gives a job's place from 1. */
export class Slots {
  view = null;
  turns = new Map();
  error = null;
  #asked = null;
  #store;
  #listeners = new Set();

  constructor(store) {
    this.#store = store;
  }

  get limit() {
    return this.view?.limit ?? 1;
  }

  get paused() {
    return this.view?.paused ?? false;
  }

  listen(listener) {
    this.#listeners.add(listener);
  }

  async follow() {
    for (;;) {
      if (!document.hidden) await this.ask();
      const busy = this.#store.open().length > 0 || this.#asked?.holders.length;
      const pause = busy ? BUSY_MILLISECONDS : IDLE_MILLISECONDS;
      await new Promise((done) => setTimeout(done, pause));
    }
  }

  /** Brings the last answer up to what the jobs themselves have said since. */
  reckon() {
    if (this.#asked === null) return;
    this.view = brought(this.#asked, this.#store);
    this.turns = new Map(this.view.waiting.map((jobId, place) => [jobId, place + 1]));
  }

  async ask() {
    try {
      this.#take(await get("/slots"));
    } catch (error) {
      this.error = error.message;
      this.#notify();
    }
  }

  /** Sets limit, pause or both; Failure where the API refuses. */
  async change(body) {
    this.#take(await call("PUT", "/slots", { body }));
  }

  #take(view) {
    this.#asked = view;
    this.error = null;
    this.reckon();
    this.#notify();
  }

  #notify() {
    for (const listener of this.#listeners) listener();
  }
}

// A job tells its start and its end at once; the answer about the slot may be two seconds old.
function brought(view, store) {
  const held = view.holders.filter(
    ({ job_id: id, draining }) => draining || !isOver(store.get(id)),
  );
  const known = new Set(held.map((holder) => holder.job_id));
  const started = store.open().filter((job) => job.status === "running" && !known.has(job.job_id));
  const waiting = view.waiting.filter(
    (jobId) => (store.get(jobId)?.status ?? "queued") === "queued",
  );
  return {
    ...view,
    holders: [...held, ...started.map(asHolder)],
    waiting,
    waiting_count: view.waiting_count - view.waiting.length + waiting.length,
  };
}

const isOver = (job) => job !== undefined && hasEnded(job);
const asHolder = (job) => ({ job_id: job.job_id, since: job.started_at, draining: false });
