// What can be done with a job: cancel, retry, run again with edits, copy as curl, look elsewhere.

import { button, el } from "../lib/dom.js";
import { call, jobPath } from "../lib/http.js";
import { canRetry, hasEnded } from "../data/jobs.js";
import { attemptTo, notify } from "../lib/notices.js";
import { t } from "../lib/texts.js";

const INPUT = ["prompt", "style", "tag", "priority", "on_video_failure"];

/** The row of buttons; `runAgain` gets a job's input, `ui` gives the address of the Temporal UI. */
export class Actions {
  #address;
  #store;
  #input = {};
  #job = null;
  #cancel = button(t("Cancel"), () => this.#doCancel(), { class: "danger" });
  #retry = button(t("Retry"), () => this.#doRetry());
  #link = el("a", { target: "_blank", rel: "noopener" }, t("Temporal UI"));
  #ui;

  constructor({ address, store, runAgain, ui }) {
    this.#address = address;
    this.#store = store;
    this.#ui = ui;
    const again = button(t("Run again with edits"), () => runAgain(this.#input));
    const curl = button(t("Copy as curl"), () => this.#copy(curlOf(this.#input)));
    const id = button(t("Copy id"), () => this.#copy(this.#job.job_id));
    this.element = el(
      "div",
      { class: "actions" },
      this.#cancel,
      this.#retry,
      again,
      curl,
      id,
      this.#link,
    );
  }

  clear() {
    this.#job = null;
    this.element.hidden = true;
  }

  show(job) {
    this.#job = job;
    this.element.hidden = false;
    this.#cancel.hidden = hasEnded(job) || this.#store.isCancelling(job.job_id);
    this.#retry.hidden = !canRetry(job);
    if (this.#input.job_id !== job.job_id) this.know(job);
    this.learn();
  }

  /** Shows the link as soon as it is known where it leads. */
  learn() {
    const base = this.#ui();
    this.#link.hidden = base === null;
    if (base !== null && this.#job !== null)
      this.#link.href = `${base}/${encodeURIComponent(this.#job.job_id)}`;
  }

  /** The whole input, as only the record has it. */
  know(record) {
    const given = INPUT.filter((name) => record[name] !== null && record[name] !== undefined);
    this.#input = Object.fromEntries(given.map((name) => [name, record[name]]));
    Object.defineProperty(this.#input, "job_id", { value: record.job_id, enumerable: false });
  }

  #doCancel() {
    return attemptTo(async () => {
      const { job_id: jobId } = await call("POST", jobPath(this.#job.job_id, "/cancel"));
      this.#store.noteCancelling(jobId);
      notify(t("Asked to cancel; it ends once the vendors are clear."));
    });
  }

  #doRetry() {
    return attemptTo(async () => {
      const { job_id: jobId } = await call("POST", jobPath(this.#job.job_id, "/retry"));
      notify(t("Started again as a new job."));
      this.#address.go({ job: jobId });
    });
  }

  async #copy(text) {
    // The clipboard is there for secure pages alone; loopback counts as one.
    if (!navigator.clipboard) {
      window.prompt(t("Copy this:"), text);
      return;
    }
    await attemptTo(async () => {
      await navigator.clipboard.writeText(text);
      notify(t("Copied."));
    });
  }
}

/** The command that submits the same input, quoted for a shell. */
export function curlOf(input) {
  const body = JSON.stringify(input).replaceAll("'", "'\\''");
  return `curl -X POST ${location.origin}/jobs -H 'Content-Type: application/json' -d '${body}'`;
}
