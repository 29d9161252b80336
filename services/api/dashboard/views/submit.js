// The form for new jobs: one job, or the same one many times.

import { el, field, notify, select } from "../lib/dom.js";
import { call } from "../lib/api.js";
import { INPUT } from "../data/jobs.js";
import { count } from "../lib/format.js";
import { t } from "../lib/texts.js";

const MOST = 1000;
const AT_ONCE = 4;
const NUMBER = { type: "number", min: 1 };
const WIDE = "(min-width: 44rem)";

/** The panel; `fill` puts a job's input in, to be run again with edits. */
export class SubmitPanel {
  #lead;
  #controls = controls();
  #errors = {};
  #pipeline = select("new-pipeline", { genvideo: "genvideo" }, () => this.#choose());
  #chooser = field(t("Pipeline"), this.#pipeline);
  #fields = el("div", { class: "fields" });
  #own = {};
  #times = el("input", { ...NUMBER, id: "new-times", max: MOST, value: 1, required: true });
  #send = el("button", { type: "submit", class: "primary" }, t("Submit"));
  #form;
  #fold;

  /** `lead` gets the jobs' ids and their tag, and gives a link to them. */
  constructor({ lead }) {
    this.#lead = lead;
    this.#chooser.hidden = true;
    this.#fields.append(...INPUT.map((name) => this.#field(name)));
    this.#form = el(
      "form",
      { submit: (event) => this.#submit(event), keydown: (event) => this.#onKey(event) },
      this.#chooser,
      this.#fields,
      el("div", { class: "inline" }, field(t("How many"), this.#times), this.#send),
    );
    // On a narrow screen the jobs come first; the form opens when it is wanted.
    const summary = el("summary", {}, el("h2", { id: "new-title" }, t("New job")));
    this.#fold = el("details", { open: window.matchMedia(WIDE).matches }, summary, this.#form);
    this.element = el("section", { class: "panel", "aria-labelledby": "new-title" }, this.#fold);
  }

  focus() {
    this.#fold.open = true;
    this.#controls[this.#names()[0]].focus();
  }

  fill(input) {
    if (Object.hasOwn(this.#own, input.pipeline)) this.#pipeline.value = input.pipeline;
    this.#choose();
    for (const name of this.#names()) this.#controls[name].value = input[name] ?? "";
    this.focus();
  }

  /** Lets the user choose among several pipelines, each with the fields of its own input. */
  offer(pipelines) {
    for (const [pipeline, { fields }] of Object.entries(pipelines)) {
      if (pipeline === "genvideo") continue;
      this.#own[pipeline] = fields.map(({ name }) => name);
      this.#pipeline.append(el("option", { value: pipeline }, pipeline));
      for (const { name, required } of fields) {
        if (Object.hasOwn(this.#controls, name)) continue;
        const attributes = { ...common(name), rows: 2, required };
        this.#controls[name] = el("textarea", attributes);
        this.#fields.prepend(this.#field(name));
      }
    }
    this.#chooser.hidden = Object.keys(pipelines).length < 2;
    this.#choose();
  }

  // The input of the chosen pipeline.
  #names() {
    const own = this.#own[this.#pipeline.value];
    return own ? [...own, "tag", "priority"] : INPUT;
  }

  // A field that is not shown is disabled, so that the browser does not ask for it.
  #choose() {
    for (const [name, control] of Object.entries(this.#controls)) {
      control.disabled = !this.#names().includes(name);
      control.closest(".field").hidden = control.disabled;
    }
  }

  #field(name) {
    const control = this.#controls[name];
    const error = el("span", { class: "error", id: `${control.id}-error`, hidden: true });
    control.setAttribute("aria-describedby", error.id);
    this.#errors[name] = error;
    const made = field(t(LABELS[name] ?? name), control, error);
    made.classList.add(name);
    return made;
  }

  #onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
  }

  async #submit(event) {
    event.preventDefault();
    this.#send.disabled = true;
    this.#showErrors([]);
    const times = Number(this.#times.value);
    const job = this.#values();
    const ids = [];
    try {
      await submitAll(job, times, ids);
      const sentence = t("{jobs} submitted.", { jobs: count(times, "job") });
      notify(sentence, "good", this.#lead(ids, job.tag));
    } catch (failure) {
      const others = this.#showErrors(failure.errors ?? []);
      const figures = { n: ids.length, jobs: count(times, "job") };
      const done = times > 1 ? t(" {n} of {jobs} had been submitted.", figures) : "";
      if (!failure.errors?.length || others.length) notify(failure.message + done, "bad");
      this.#form.querySelector("[aria-invalid]")?.focus();
    } finally {
      this.#send.disabled = false;
    }
  }

  // An empty field is left out, unless it is required.
  #values() {
    const pipeline = this.#pipeline.value;
    const values = pipeline === "genvideo" ? {} : { pipeline };
    for (const name of this.#names()) {
      const { value, type, required } = this.#controls[name];
      if (value || required) values[name] = type === "number" ? Number(value) : value;
    }
    return values;
  }

  /** Shows mistakes beside their fields; gives those that belong to none. */
  #showErrors(mistakes) {
    for (const name of Object.keys(this.#controls)) {
      const mistake = mistakes.find((each) => fieldOf(each) === name);
      this.#errors[name].hidden = mistake === undefined;
      this.#errors[name].textContent = mistake?.message ?? "";
      if (mistake) this.#controls[name].setAttribute("aria-invalid", "true");
      else this.#controls[name].removeAttribute("aria-invalid");
    }
    return mistakes.filter((each) => !this.#names().includes(fieldOf(each)));
  }
}

const LABELS = {
  prompt: "Prompt",
  style: "Style",
  tag: "Tag",
  priority: "Priority",
  on_video_failure: "If the video fails",
};

const common = (name) => ({ id: `new-${name}`, name, dir: "auto", autocomplete: "off" });

function controls() {
  const text = (name, attributes) => el("input", { ...common(name), type: "text", ...attributes });
  return {
    prompt: el("textarea", { ...common("prompt"), rows: 2, maxlength: 2500, required: true }),
    style: text("style"),
    tag: text("tag"),
    priority: text("priority", { ...NUMBER, max: 5, value: 3 }),
    on_video_failure: select("new-on_video_failure", { fail: t("fail"), image: t("image") }),
  };
}

const fieldOf = (mistake) => mistake.field.split(".").pop();

// The ids are noted as they come; after a failure no other job is submitted.
async function submitAll(body, times, ids) {
  let left = times;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      // With a key a repeat over a shaky connection can't start a second job.
      const headers = { "Idempotency-Key": crypto.randomUUID() };
      ids.push((await call("POST", "/jobs", { body, headers })).job_id);
    }
  };
  const stop = (failure) => {
    left = 0;
    throw failure;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => lane().catch(stop)));
}
