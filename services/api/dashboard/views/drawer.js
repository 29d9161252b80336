// The drawer of one job: opened by the address, closed with Escape, redrawn as the job changes.

import { Actions } from "../parts/actions.js";
import { button, el, setOr, setText } from "../lib/dom.js";
import { get, jobPath } from "../lib/http.js";
import { isCancelling } from "../data/jobs.js";
import { facts } from "../parts/facts.js";
import { Lines } from "../parts/lines.js";
import { Preview } from "../parts/preview.js";
import { receipts } from "../parts/receipts.js";
import { attempts, timeline } from "../parts/timeline.js";
import { t } from "../lib/texts.js";

// A running job's record changes often; it is read at most this often.
const READ_MILLISECONDS = 400;
// One that got no answer is read again.
const AGAIN_MILLISECONDS = 2000;

/** Shows the job that the address names; a dialog beside the table, not over it. */
export class Drawer {
  #store;
  #address;
  #mocks;
  #shown = "";
  #record = null;
  #version = -1;
  #shownAs = "";
  #reading = 0;
  #opener = null;
  #title = el("h2", { id: "drawer-title", tabindex: 0, dir: "auto" });
  #status = el("span");
  #preview = new Preview();
  #actions;
  #story = el("div");
  #callbacks = el("div");
  #lines = new Lines();
  #raw = el("pre", { tabindex: 0, "aria-label": t("Raw record") });

  constructor({ store, address, mocks, runAgain, ui }) {
    this.#store = store;
    this.#address = address;
    this.#mocks = mocks;
    mocks.listen((hit) => hit.has(this.#shown) && this.#tell());
    this.#actions = new Actions({ address, store, runAgain, ui });
    const close = button("×", () => this.close(), {
      class: "quiet",
      "aria-label": t("Close"),
      title: t("Close (Escape)"),
    });
    this.element = el(
      "div",
      {
        class: "drawer",
        role: "dialog",
        "aria-labelledby": "drawer-title",
        hidden: true,
        keydown: (event) => this.#key(event),
      },
      el("div", { class: "head" }, this.#title, close),
      this.#status,
      this.#preview.element,
      this.#actions.element,
      this.#story,
      this.#callbacks,
      this.#lines.element,
      el("details", { class: "raw" }, el("summary", {}, t("Raw record")), this.#raw),
    );
  }

  close() {
    this.#address.go({ job: "" });
  }

  /** The surroundings are known by now: where the Temporal UI is. */
  learn() {
    this.#actions.learn();
  }

  /** Follows the address; a job that changed is read anew. */
  draw() {
    const wanted = this.#address.state.job;
    if (wanted !== this.#shown) this.#turnTo(wanted);
    if (wanted === "") return;
    const job = this.#store.get(wanted);
    if (job === undefined) return;
    if (job.version > this.#version || this.#store.shownAs(job) !== this.#shownAs) this.#change(job);
  }

  #turnTo(jobId) {
    const opening = this.#shown === "";
    clearTimeout(this.#reading);
    this.#reading = 0;
    this.#shown = jobId;
    this.#version = -1;
    this.element.hidden = jobId === "";
    document.body.classList.toggle("with-drawer", jobId !== "");
    if (jobId === "") {
      this.#preview.clear();
      this.#opener?.focus({ preventScroll: true });
      return;
    }
    if (opening) this.#opener = document.activeElement;
    this.#clear(jobId);
    this.#read();
    this.#title.focus({ preventScroll: true });
    this.element.scrollTop = 0;
  }

  #clear(jobId) {
    this.#record = null;
    this.#lines.turnTo(jobId);
    setText(this.#title, jobId);
    for (const part of [this.#story, this.#callbacks, this.#raw]) part.replaceChildren();
    this.#preview.clear();
    this.#actions.clear();
    setText(this.#status, "");
    setOr(this.#status, "class", "");
  }

  #change(job) {
    this.#version = job.version;
    setText(this.#title, job.prompt);
    this.#shownAs = this.#store.shownAs(job);
    setText(this.#status, t(this.#shownAs));
    setOr(this.#status, "class", `status ${job.status}`);
    this.#preview.show(job);
    this.#actions.show(job);
    this.#reading ||= setTimeout(() => this.#read(), READ_MILLISECONDS);
  }

  async #read() {
    clearTimeout(this.#reading);
    this.#reading = 0;
    const jobId = this.#shown;
    try {
      await this.#readJob(jobId);
    } catch (error) {
      if (jobId !== this.#shown) return;
      this.#story.replaceChildren(el("p", { class: "hint" }, error.message));
      if (error.status === 0) this.#reading ||= setTimeout(() => this.#read(), AGAIN_MILLISECONDS);
    }
  }

  async #readJob(jobId) {
    if (this.#store.get(jobId) === undefined) this.#store.put(await get(jobPath(jobId)));
    const [record, callbacks] = await Promise.all([
      get(jobPath(jobId, "/record")),
      get(`/console/callbacks?job_id=${encodeURIComponent(jobId)}`).catch((error) => error.message),
    ]);
    if (jobId !== this.#shown) return;
    this.#actions.know(record);
    if (isCancelling(record)) this.#store.noteCancelling(jobId);
    this.#record = record;
    this.#tell();
    this.#callbacks.replaceChildren(receipts(callbacks));
    this.#lines.read();
    setText(this.#raw, JSON.stringify(record, null, 2));
  }

  #tell() {
    const record = this.#record;
    if (record === null) return;
    const hits = this.#mocks.hitsOf(record.job_id);
    this.#story.replaceChildren(facts(record), timeline(record, hits), attempts(record));
  }

  #key(event) {
    if (event.key === "Escape") this.close();
  }
}
