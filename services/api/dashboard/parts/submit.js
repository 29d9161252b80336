// The form for new jobs, made from the schema of POST /jobs; one job or many of them.

import { el, setText } from "../lib/dom.js";
import { fieldsOf, showErrors, valuesOf } from "../lib/fields.js";
import { count } from "../lib/format.js";
import { call, get } from "../lib/http.js";
import { notify } from "../lib/notices.js";
import { t } from "../lib/texts.js";

const MOST = 1000;
const AT_ONCE = 4;
const WIDE = "(min-width: 44rem)";

/** The panel; `fill` puts a job's input in, to be run again with edits. */
export class SubmitPanel {
  #fields = {};
  #given = null;
  #schema = { required: [], properties: {} };
  #times = el("input", {
    type: "number",
    id: "new-times",
    min: 1,
    max: MOST,
    value: 1,
    required: true,
  });
  #send = el("button", { type: "submit", class: "primary" }, t("Submit"));
  #progress = el("p", { class: "hint", role: "status" });
  #place = el("div", { class: "fields" });

  /** `lead` gets the jobs' ids and their tag, and gives a link to them. */
  constructor({ lead }) {
    this.#lead = lead;
    const many = el(
      "div",
      { class: "field times" },
      el("label", { for: "new-times" }, t("How many")),
      this.#times,
    );
    this.#form = el(
      "form",
      { submit: (event) => this.#submit(event), keydown: (event) => this.#keys(event) },
      this.#place,
      el("div", { class: "inline" }, many, this.#send),
      this.#progress,
    );
    // On a narrow screen the jobs come first; the form opens when it is wanted.
    this.#fold = el(
      "details",
      { open: window.matchMedia(WIDE).matches },
      el("summary", {}, el("h2", { id: "new-title" }, t("New job"))),
      this.#form,
    );
    this.element = el("section", { class: "panel", "aria-labelledby": "new-title" }, this.#fold);
  }

  #form;
  #fold;
  #lead;

  async load() {
    const document = await this.#asked();
    const definitions = document.components.schemas;
    this.#schema = definitions.JobOrder;
    this.#fields = fieldsOf(this.#schema, definitions, "new");
    this.#place.replaceChildren(...Object.values(this.#fields).map((field) => field.element));
    this.#put();
  }

  async #asked() {
    try {
      const document = await get("/openapi.json");
      setText(this.#progress, "");
      return document;
    } catch (error) {
      setText(this.#progress, error.message);
      throw error;
    }
  }

  focus() {
    this.#fold.open = true;
    this.#fields.prompt?.input.focus();
  }

  fill(input) {
    this.#given = input;
    this.#put();
  }

  // The fields may come later than what belongs into them.
  #put() {
    if (this.#given === null || this.#fields.prompt === undefined) return;
    for (const [name, { input: field }] of Object.entries(this.#fields)) {
      if (this.#given[name] !== undefined) field.value = this.#given[name] ?? "";
    }
    this.#given = null;
    this.focus();
  }

  #keys(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
  }

  async #submit(event) {
    event.preventDefault();
    this.#send.disabled = true;
    try {
      await this.#sendAll(valuesOf(this.#fields, this.#schema), Number(this.#times.value));
    } finally {
      this.#send.disabled = false;
      setText(this.#progress, "");
    }
  }

  async #sendAll(values, times) {
    showErrors(this.#fields, []);
    const ids = [];
    const bodies = Array.from({ length: times }, (_, index) => numbered(values, index, times));
    const lane = async () => {
      for (let body = bodies.shift(); body !== undefined; body = bodies.shift()) {
        ids.push((await this.#sendOne(body)).job_id);
        if (times > 1) setText(this.#progress, t("{n} of {jobs} submitted", { n: ids.length, jobs: count(times, "job") }));
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, times) }, lane));
      const sentence = t("{jobs} submitted.", { jobs: count(ids.length, "job") });
      notify(sentence, "good", this.#lead(ids, values.tag));
    } catch (failure) {
      bodies.length = 0;
      this.#refused(failure, { sent: ids.length, times });
    }
  }

  #sendOne(body) {
    // With a key of its own a repeat over a shaky connection can't start a second job.
    return call("POST", "/jobs", { body, headers: { "Idempotency-Key": crypto.randomUUID() } });
  }

  #refused(failure, { sent, times }) {
    const others = showErrors(this.#fields, failure.errors ?? []);
    const done = times > 1 ? t(" {n} of {jobs} had been submitted.", { n: sent, jobs: count(times, "job") }) : "";
    if (!failure.errors?.length || others.length) notify(`${failure.message}${done}`, "bad");
    this.#form.querySelector("[aria-invalid]")?.focus();
  }
}

// Many jobs of one prompt are told apart by a number at its end.
function numbered(values, index, times) {
  return times === 1 ? values : { ...values, prompt: `${values.prompt} #${index + 1}` };
}
