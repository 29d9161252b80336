// Several jobs at once: which are chosen, and what is done with all of them.

import { button, el, setText } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { call, jobPath } from "../lib/http.js";
import { notify } from "../lib/notices.js";
import { canRetry, hasEnded } from "../data/jobs.js";
import { t } from "../lib/texts.js";

const AT_ONCE = 4;

/** The bar over the table; `changed` is called when jobs were let go here, `isShown` says who is in view. */
export class Selection {
  #ids = new Set();
  #store;
  #changed;
  #isShown;
  #said = el("span", { role: "status" });
  #cancel = button(t("Cancel"), () => this.#cancelAll(), { class: "danger" });
  #retry = button(t("Retry"), () => this.#retryAll());

  constructor({ store, changed, isShown }) {
    this.#store = store;
    this.#changed = changed;
    this.#isShown = isShown;
    const none = button(t("Choose none"), () => this.#letGo([...this.#ids]));
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
    setText(this.#said, t("{jobs} chosen", { jobs: count(all.length, "job") }) + this.#unseen(all));
    setText(this.#cancel, t("Cancel {n}", { n: open.length }));
    setText(this.#retry, t("Retry {n}", { n: again.length }));
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
    return number ? t(", {n} of them not in view", { n: number }) : "";
  }

  #mayDo(what, jobs, besides = "") {
    return window.confirm(t(what, { jobs: count(jobs.length, "job") + this.#unseen(jobs) }) + besides);
  }

  async #cancelAll() {
    const jobs = this.#open();
    if (!this.#mayDo("Cancel {jobs}?", jobs)) return;
    await this.#each(jobs, "{jobs} asked to cancel.", async (jobId) => {
      await call("POST", jobPath(jobId, "/cancel"));
      this.#store.noteCancelling(jobId);
    });
  }

  async #retryAll() {
    const jobs = this.#again();
    if (!this.#mayDo("Retry {jobs}?", jobs, t(" What they make is paid for anew."))) return;
    await this.#each(jobs, "{jobs} started again as new jobs.", (jobId) =>
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
    if (well > 0) notify(t(done, { jobs: count(well, "job") }));
    if (refusals.length > 0)
      notify(
        t("{jobs} refused: {why}", { jobs: count(refusals.length, "job"), why: refusals[0] }),
        "bad",
      );
    this.#letGo(jobs.map((job) => job.job_id));
  }

  #letGo(jobIds) {
    for (const jobId of jobIds) this.#ids.delete(jobId);
    this.draw();
    this.#changed();
  }
}
