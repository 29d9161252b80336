// The list of presets with what each stands for and what should come of it.

import { button, el } from "../lib/dom.js";
import { t } from "../lib/texts.js";

/** A list that is drawn once; `arm` gets a preset's name. */
export class PresetList {
  #arm;
  #list = el("ul", { class: "presets", "aria-labelledby": "presets-title" });
  #drawn = false;

  constructor(arm) {
    this.#arm = arm;
    this.element = el(
      "section",
      { class: "panel", "aria-labelledby": "presets-title" },
      el("h2", { id: "presets-title" }, t("Presets")),
      this.#list,
    );
  }

  show(presets) {
    if (this.#drawn) return;
    this.#drawn = true;
    this.#list.replaceChildren(...presets.map((preset) => this.#item(preset)));
  }

  #item({ name, says, expect }) {
    const arm = button(t("Arm"), () => this.#arm(name), { "aria-label": t("Arm {name}", { name }) });
    return el(
      "li",
      {},
      el(
        "div",
        {},
        el("strong", {}, name),
        el("p", {}, t(plain(says))),
        el("p", { class: "hint" }, t("Expect: {what}", { what: t(plain(expect)) })),
      ),
      arm,
    );
  }
}

// The mocks speak Markdown, this page doesn't.
const plain = (text) => text.replaceAll("`", "");
