// The log lines of a job, of every process that still has them; asked for while they are looked at.

import { el, setText } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { get } from "../lib/http.js";
import { t } from "../lib/texts.js";

/** A part of the drawer that is closed at first. */
export class Lines {
  #jobId = "";
  #hint = el("p", { class: "hint" });
  #list = el("ol", { class: "lines", tabindex: 0, "aria-label": t("Log lines") });
  element = el(
    "details",
    { class: "raw", toggle: () => this.read() },
    el("summary", {}, t("Log lines")),
    this.#hint,
    this.#list,
  );

  /** Those of another job from now on. */
  turnTo(jobId) {
    this.#jobId = jobId;
    this.#list.replaceChildren();
    setText(this.#hint, "");
  }

  /** Asks anew, where they are open. */
  async read() {
    const jobId = this.#jobId;
    if (!this.element.open || jobId === "") return;
    try {
      const found = await get(`/console/lines?job_id=${encodeURIComponent(jobId)}`);
      if (jobId === this.#jobId) this.#show(found);
    } catch (error) {
      if (jobId === this.#jobId) setText(this.#hint, error.message);
    }
  }

  #show({ lines, silent }) {
    const before = t("What a process said before it was started again is in make logs.");
    const away = silent.length ? t("No answer: {services}.", { services: silent.join(", ") }) : "";
    setText(this.#hint, [away, lines.length ? "" : t("None."), before].filter(Boolean).join(" "));
    this.#list.replaceChildren(...lines.map(line));
  }
}

function line({ at, level, service, text }) {
  return el(
    "li",
    { class: level === "info" || level === "debug" ? null : "bad" },
    el("time", { datetime: at }, clock(at)),
    el("span", { class: "since" }, service),
    el("span", { dir: "auto" }, text),
  );
}
