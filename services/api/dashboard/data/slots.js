// What the API says about the slot, asked again and again while the page is visible.

import { Repeat, call, get } from "../lib/api.js";
import { Listened } from "../lib/listened.js";
import { hasEnded } from "./jobs.js";

const BUSY_MILLISECONDS = 1000;
const IDLE_MILLISECONDS = 4000;

/** The slot's state: limit, pause, holders, queue; `turns` gives a job's place from 1. */
export class Slots extends Listened {
  view = null;
  turns = new Map();
  error = null;
  #asked = null;
  #store;

  constructor(store) {
    super();
    this.#store = store;
  }

  get paused() {
    return this.view?.paused ?? false;
  }

  follow() {
    const isBusy = () => this.#store.open().length > 0 || this.#asked?.holders.length > 0;
    const pause = () => (isBusy() ? BUSY_MILLISECONDS : IDLE_MILLISECONDS);
    new Repeat(() => this.#ask(), pause).start();
  }

  /** Sets limit, pause or both; Failure if the API refuses. */
  async change(body) {
    this.#take(await call("PUT", "/slots", { body }));
  }

  /** Brings the last answer up to what the jobs themselves have said since. */
  reckon() {
    if (this.#asked === null) return;
    this.view = broughtUp(this.#asked, this.#store);
    this.turns = new Map(this.view.waiting.map((jobId, place) => [jobId, place + 1]));
  }

  async #ask() {
    try {
      this.#take(await get("/slots"));
    } catch (error) {
      this.error = error.message;
      this.notify();
    }
  }

  #take(view) {
    this.#asked = view;
    this.error = null;
    this.reckon();
    this.notify();
  }
}

// A job's start and end are known at once; the answer about the slot may be two seconds old.
function broughtUp(view, store) {
  const isOver = (job) => job !== undefined && hasEnded(job);
  const held = view.holders.filter(
    ({ job_id: jobId, draining }) => draining || !isOver(store.get(jobId)),
  );
  const known = new Set(held.map((holder) => holder.job_id));
  const started = store.open().filter((job) => job.status === "running" && !known.has(job.job_id));
  const begun = started.map(({ job_id, started_at }) => ({ job_id, since: started_at }));
  const waiting = view.waiting.filter(
    (jobId) => (store.get(jobId)?.status ?? "queued") === "queued",
  );
  const waitingCount = view.waiting_count - view.waiting.length + waiting.length;
  return { ...view, holders: [...held, ...begun], waiting, waiting_count: waitingCount };
}
