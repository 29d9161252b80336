// What a batch was charged: asked for by a button, for it is in each job's record alone.

import { charged } from "../data/batch.js";
import { button, el, setText } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { get, jobPath } from "../lib/http.js";
import { t } from "../lib/texts.js";

// So many records are read at the most.
const MOST = 200;

/** A button, and behind it the answer. */
export class Charges {
  #tag = "";
  #jobs = [];
  #said = el("span", { class: "hint", role: "status" });
  element = el("span", {}, button(t("What was charged?"), () => this.#ask()), " ", this.#said);

  /** Of the jobs of this tag, as many as there are by now. */
  turnTo(tag, jobs) {
    this.#jobs = jobs;
    if (tag !== this.#tag) setText(this.#said, "");
    this.#tag = tag;
  }

  async #ask() {
    const tag = this.#tag;
    const asked = this.#jobs.slice(0, MOST);
    const records = [];
    for (const { job_id: jobId } of asked)
      records.push(await get(jobPath(jobId, "/record")).catch(() => ({})));
    if (tag !== this.#tag) return;
    const { total, told } = charged(records);
    const figures = { total, told, jobs: count(asked.length, "job") };
    const sentence = told ? "{total} of the vendor's units; told for {told} of {jobs}" : "The vendors told of none.";
    setText(this.#said, t(sentence, figures));
  }
}
