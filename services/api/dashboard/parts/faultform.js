// A rule of one's own, as JSON; the mocks say every mistake in it.

import { el } from "../lib/dom.js";
import { notify } from "../lib/notices.js";
import { t } from "../lib/texts.js";

const EXAMPLE = {
  where: "start",
  do: "fail",
  with: { at: 40 },
  often: { attempts: "1-2" },
  match: { share: 0.5 },
};
const TARGETS = {
  both: ["mock-comfyui", "mock-kling"],
  image: ["mock-comfyui"],
  video: ["mock-kling"],
};

/** The form; `arm` gets the mocks and the rule. */
export class FaultForm {
  #arm;
  #text = el("textarea", { id: "rule", rows: 9, spellcheck: "false", class: "code" });
  #target = el(
    "select",
    { id: "rule-target" },
    ...Object.keys(TARGETS).map((name) => el("option", { value: name }, t(name))),
  );
  #send = el("button", { type: "submit", class: "primary" }, t("Arm"));

  constructor(arm) {
    this.#arm = arm;
    this.#text.value = JSON.stringify(EXAMPLE, null, 2);
    const form = el(
      "form",
      { submit: (event) => this.#submit(event) },
      el(
        "div",
        { class: "field" },
        el("label", { for: "rule" }, t("Rule, as docs/faults.md describes it")),
        this.#text,
      ),
      el(
        "div",
        { class: "inline" },
        el("div", { class: "field" }, el("label", { for: "rule-target" }, t("Mock")), this.#target),
        this.#send,
      ),
    );
    this.element = el(
      "section",
      { class: "panel", "aria-labelledby": "rule-title" },
      el("h2", { id: "rule-title" }, t("A rule of your own")),
      form,
    );
  }

  async #submit(event) {
    event.preventDefault();
    let rule;
    try {
      rule = JSON.parse(this.#text.value);
    } catch (error) {
      notify(t("This is not JSON: {why}", { why: error.message }), "bad");
      return;
    }
    this.#send.disabled = true;
    await this.#arm(TARGETS[this.#target.value], rule);
    this.#send.disabled = false;
  }
}
