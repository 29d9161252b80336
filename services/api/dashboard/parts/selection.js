// Several jobs at once: which are chosen, and what is done with all of them.

import { button, el, setText } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { call, jobPath } from "../lib/http.js";
import { notify } from "../lib/notices.js";
import { canRetry, hasEnded } from "../data/jobs.js";

const AT_ONCE = 4;

/** The bar over the table; `changed` is called when jobs were let go here, `isShown` says who is in view. */
export class Selection {
  #ids = new Set();
  #store;
  #changed;
  #isShown;
  #said = el("span", { role: "status" });
  #cancel = button("Cancel them", () => this.#cancelAll(), { class: "danger" });
  #retry = button("Retry them", () => this.#retryAll());

  constructor({ store, changed, isShown }) {
    this.#store = store;
    this.#changed = changed;
    this.#isShown = isShown;
    const none = button("Choose none", () => this.#letGo([...this.#ids]));
    this.element = el("p", { class: "selection" }, this.#said, this.#cancel, this.#retry, none);
  }

  has(jobId) {
    return this.#ids.has(jobId);
  }

  /** Takes a job in, or lets it go. */
  set(jobId, chosen) {
    if (chosen) this.#ids.add(jobId);
    else this.#ids.delete(jobId);
    this.draw();
  }

  draw() {
    const [open, again] = [this.#open(), this.#again()];
    const all = this.#jobs();
    this.element.hidden = all.length === 0;
    setText(this.#said, `${count(all.length, "job")} chosen${this.#unseen(all)}`);
    setText(this.#cancel, `Cancel ${open.length}`);
    setText(this.#retry, `Retry ${again.length}`);
    this.#cancel.hidden = open.length === 0;
    this.#retry.hidden = again.length === 0;
  }

  #jobs() {
    return [...this.#ids].map((jobId) => this.#store.get(jobId)).filter(Boolean);
  }

  #open() {
    return this.#jobs().filter((job) => !hasEnded(job) && !this.#store.isCancelling(job.job_id));
  }

  #again() {
    return this.#jobs().filter(canRetry);
  }

  // Who was chosen stays so behind other filters and pages.
  #unseen(jobs) {
    const number = jobs.filter((job) => !this.#isShown(job.job_id)).length;
    return number ? `, ${number} of them not in view` : "";
  }

  #mayDo(what, jobs, besides = "") {
    return window.confirm(`${what} ${count(jobs.length, "job")}${this.#unseen(jobs)}?${besides}`);
  }

  async #cancelAll() {
    const jobs = this.#open();
    if (!this.#mayDo("Cancel", jobs)) return;
    await this.#each(jobs, "asked to cancel", async (jobId) => {
      await call("POST", jobPath(jobId, "/cancel"));
      this.#store.noteCancelling(jobId);
    });
  }

  async #retryAll() {
    const jobs = this.#again();
    if (!this.#mayDo("Retry", jobs, " What they make is paid for anew.")) return;
    await this.#each(jobs, "started again as new jobs", (jobId) =>
      call("POST", jobPath(jobId, "/retry")),
    );
  }

  // One that is refused holds up no other.
  async #each(jobs, done, work) {
    const waiting = jobs.map((job) => job.job_id);
    const refusals = [];
    const lane = async () => {
      for (let jobId = waiting.shift(); jobId !== undefined; jobId = waiting.shift())
        await work(jobId).catch((failure) => refusals.push(failure.message));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    const well = jobs.length - refusals.length;
    if (well > 0) notify(`${count(well, "job")} ${done}.`);
    if (refusals.length > 0)
      notify(`${count(refusals.length, "job")} refused: ${refusals[0]}`, "bad");
    this.#letGo(jobs.map((job) => job.job_id));
  }

  #letGo(jobIds) {
    for (const jobId of jobIds) this.#ids.delete(jobId);
    this.draw();
    this.#changed();
  }
}
