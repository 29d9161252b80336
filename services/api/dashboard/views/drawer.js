// The drawer of one job: opened by the address, closed with Escape, drawn again as the job changes.

import { attemptTo, button, el, notify, outside, setOr, setText } from "../lib/dom.js";
import { call, get, jobPath } from "../lib/api.js";
import { canRetry, hasEnded, isA, storedStages } from "../data/jobs.js";
import { facts, receipts, timeline } from "./story.js";
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
  #raw = el("pre", { tabindex: 0, "aria-label": t("Raw record") });

  /** `runAgain` gets a job's input. */
  constructor({ store, address, mocks, runAgain }) {
    this.#store = store;
    this.#address = address;
    this.#mocks = mocks;
    mocks.listen((hit) => hit.has(this.#shown) && this.#drawStory());
    this.#actions = new Actions({ address, store, runAgain });
    const named = { class: "quiet", "aria-label": t("Close"), title: t("Close (Escape)") };
    const close = button("×", () => this.close(), named);
    this.element = el(
      "div",
      {
        class: "drawer",
        role: "dialog",
        "aria-labelledby": "drawer-title",
        hidden: true,
        keydown: (event) => event.key === "Escape" && this.close(),
      },
      el("div", { class: "head" }, this.#title, close),
      this.#status,
      this.#preview.element,
      this.#actions.element,
      this.#story,
      this.#callbacks,
      el("details", { class: "raw" }, el("summary", {}, t("Raw record")), this.#raw),
    );
  }

  close() {
    this.#address.go({ job: "" });
  }

  /** The address of a namespace's workflows in the Temporal UI, once it is known. */
  set temporalUi(address) {
    this.#actions.temporalUi = address;
  }

  /** Follows the address; the record of a job that changed is read again. */
  draw() {
    const wanted = this.#address.state.job;
    if (wanted !== this.#shown) this.#turnTo(wanted);
    const job = this.#store.get(wanted);
    if (job === undefined) return;
    const shownAs = this.#store.shownAs(job);
    if (job.version <= this.#version && shownAs === this.#shownAs) return;
    this.#version = job.version;
    this.#shownAs = shownAs;
    setText(this.#title, job.prompt);
    setText(this.#status, t(shownAs));
    setOr(this.#status, "class", `status ${job.status}`);
    this.#preview.show(job);
    this.#actions.show(job);
    this.#reading ||= setTimeout(() => this.#read(), READ_MILLISECONDS);
  }

  #turnTo(jobId) {
    const isOpening = this.#shown === "";
    clearTimeout(this.#reading);
    this.#reading = 0;
    this.#shown = jobId;
    this.#version = -1;
    this.#record = null;
    this.element.hidden = jobId === "";
    document.body.classList.toggle("with-drawer", jobId !== "");
    this.#preview.clear();
    if (jobId === "") {
      this.#opener?.focus({ preventScroll: true });
      return;
    }
    if (isOpening) this.#opener = document.activeElement;
    setText(this.#title, jobId);
    setText(this.#status, "");
    setOr(this.#status, "class", "");
    this.#actions.clear();
    for (const part of [this.#story, this.#callbacks, this.#raw]) part.replaceChildren();
    this.#read();
    this.#title.focus({ preventScroll: true });
    this.element.scrollTop = 0;
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
    this.#record = record;
    this.#drawStory();
    this.#callbacks.replaceChildren(receipts(callbacks));
    setText(this.#raw, JSON.stringify(record, null, 2));
  }

  #drawStory() {
    const record = this.#record;
    if (record === null) return;
    const hits = this.#mocks.hitsOf(record.job_id);
    this.#story.replaceChildren(facts(record), timeline(record, hits));
  }
}

/** The last result of a job that can be shown, and links to all of them, as soon as each is there. */
class Preview {
  #key = "";
  element = el("div", { class: "preview" });

  clear() {
    this.#key = "";
    this.element.replaceChildren();
  }

  /** Draws only when a file has come: a playing video doesn't start again. */
  show(job) {
    const stages = storedStages(job);
    const key = [job.job_id, ...stages.map(({ name }) => name)].join(" ");
    if (key === this.#key) return;
    this.#key = key;
    const links = stages.map(({ name }) => outside(jobPath(job.job_id, `/${name}`), titled(t(name))));
    const sortOf = (stage) => Object.keys(LABELS).find((sort) => isA(stage, sort));
    const last = stages.findLast(sortOf);
    this.element.replaceChildren(
      ...(last ? [shown(job, sortOf(last), last, stages)] : []),
      ...(links.length ? [el("p", { class: "links" }, ...links)] : []),
    );
  }
}

const titled = (text) => text[0].toUpperCase() + text.slice(1);

const LABELS = {
  image: "Image of: {prompt}",
  audio: "Sound of: {prompt}",
  video: "Video of: {prompt}",
};

// A result by its sort; a video has the picture that it was made of as its poster.
function shown(job, sort, { name }, stages) {
  const src = jobPath(job.job_id, `/${name}`);
  const label = t(LABELS[sort], { prompt: job.prompt.slice(0, 120) });
  if (sort === "image") return el("img", { src, alt: label });
  const played = { src, controls: true, preload: "metadata", "aria-label": label };
  if (sort === "audio") return el("audio", played);
  const picture = stages.find((stage) => isA(stage, "image"));
  const poster = picture ? jobPath(job.job_id, `/${picture.name}`) : null;
  const video = el("video", { ...played, poster, loop: true, playsinline: true });
  video.muted = true;
  return video;
}

/** What can be done with a job: cancel, retry, run again with edits, look into Temporal. */
class Actions {
  #address;
  #store;
  #temporalUi = null;
  #job = null;
  #record = null;
  #cancel = button(t("Cancel"), () => this.#doCancel(), { class: "danger" });
  #retry = button(t("Retry"), () => this.#doRetry());
  #link = outside("", t("Temporal UI"));

  constructor({ address, store, runAgain }) {
    this.#address = address;
    this.#store = store;
    const again = button(t("Run again with edits"), () => runAgain({ ...(this.#record ?? this.#job), ...this.#record?.input }));
    this.element = el("div", { class: "actions" }, this.#cancel, this.#retry, again, this.#link);
  }

  clear() {
    this.#job = this.#record = null;
    this.element.hidden = true;
  }

  show(job) {
    this.#job = job;
    this.element.hidden = false;
    this.#cancel.hidden = hasEnded(job) || this.#store.isCancelling(job.job_id);
    this.#retry.hidden = !canRetry(job);
    this.#link.hidden = this.#temporalUi === null;
    this.#link.href = `${this.#temporalUi}/${encodeURIComponent(job.job_id)}`;
  }

  set temporalUi(address) {
    this.#temporalUi = address;
    if (this.#job !== null) this.show(this.#job);
  }

  /** The whole input, which only the record has. */
  know(record) {
    this.#record = record;
  }

  #doCancel() {
    return attemptTo(async () => {
      const { job_id: jobId } = await call("POST", jobPath(this.#job.job_id, "/cancel"));
      this.#store.noteCancelling(jobId);
      notify(t("Cancellation requested; the job ends once the vendors are clear."));
    });
  }

  #doRetry() {
    return attemptTo(async () => {
      const { job_id: jobId } = await call("POST", jobPath(this.#job.job_id, "/retry"));
      notify(t("Started again as a new job."));
      this.#address.go({ job: jobId });
    });
  }
}
