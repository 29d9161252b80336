// Tells when a batch that was watched has ended: on the page, and by the system where that is allowed.

import { count } from "../lib/format.js";
import { hasEnded } from "../data/jobs.js";
import { notify } from "../lib/notices.js";
import { t } from "../lib/texts.js";

/** Watches the store; a batch is told once, if some of its jobs were open before. */
export class Teller {
  #store;
  #open = new Set();

  constructor(store) {
    this.#store = store;
  }

  /** Asks whether the system may tell, which a browser allows after a click alone. */
  static async allow() {
    if ("Notification" in window) await Notification.requestPermission();
  }

  draw() {
    const open = new Set(this.#store.open().map((job) => job.tag));
    for (const tag of this.#open) if (tag !== null && !open.has(tag)) this.#tell(tag);
    this.#open = open;
  }

  #tell(tag) {
    const jobs = [...this.#store.all()].filter((job) => job.tag === tag && hasEnded(job));
    const well = jobs.filter((job) => job.status === "succeeded").length;
    const figures = { tag, n: well, jobs: count(jobs.length, "job") };
    const sentence = t("Batch {tag} has ended: {n} of {jobs} succeeded.", figures);
    notify(sentence, well === jobs.length ? "good" : "bad");
    if ("Notification" in window && Notification.permission === "granted")
      new Notification("genvideo", { body: sentence, tag });
  }
}
