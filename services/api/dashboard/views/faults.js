// The fault panel: presets and rules for the mocks, how often each rule was carried out, clear.

import { ClockPanel } from "../parts/clock.js";
import { FaultForm } from "../parts/faultform.js";
import { button, card, cards, el, setText } from "../lib/dom.js";
import { call, get } from "../lib/http.js";
import { attemptTo, notify } from "../lib/notices.js";
import { MOCKS } from "../data/mocks.js";
import { oftenOf, whomOf } from "../data/rules.js";
import { PresetList } from "../parts/presets.js";
import { Repeat } from "../lib/repeat.js";
import { t } from "../lib/texts.js";

const MILLISECONDS = 1500;
const COLUMNS = ["Rule", "Mock", "Where", "Does", "Whom", "How often", "Fired", ""].map((name) => t(name));

/** A view that asks both mocks while it is shown. */
export class FaultsView {
  title = "Faults";
  #body = el("tbody");
  #said = el("p", { class: "hint" });
  #stats = el("p", { class: "hint" });
  #drawn = "";
  #presets = new PresetList((name) =>
    this.#arm(Object.keys(MOCKS), { preset: name }, t("Armed: {name}", { name })),
  );
  #repeat = new Repeat(() => this.#ask(), MILLISECONDS);

  constructor({ mocks }) {
    const clock = new ClockPanel(mocks);
    const form = new FaultForm((mocks, rule) => this.#arm(mocks, rule, t("Armed.")));
    const clear = button(t("Clear all"), () => this.#clear(), { class: "danger" });
    this.element = el(
      "div",
      { class: "view" },
      el(
        "section",
        { class: "panel", "aria-labelledby": "armed-title" },
        el("div", { class: "head" }, el("h2", { id: "armed-title" }, t("Armed faults")), clear),
        this.#said,
        cards("armed-title", [...COLUMNS.slice(0, -1), unseen(t("Clear"))], this.#body),
        this.#stats,
      ),
      clock.element,
      el("div", { class: "panels" }, this.#presets.element, form.element),
    );
  }

  enter() {
    this.#repeat.start();
  }

  leave() {
    this.#repeat.stop();
  }

  draw() {}

  async #ask() {
    const names = Object.keys(MOCKS);
    const answers = await Promise.all(names.map((mock) => asked(`/console/${mock}/faults`)));
    const stats = await Promise.all(names.map((mock) => asked(`/console/${mock}/stats`)));
    this.#show(names, answers);
    setText(this.#stats, names.map((mock, place) => counted(mock, stats[place])).join("  ·  "));
    const presets = answers.find((answer) => answer.presets)?.presets;
    if (presets) this.#presets.show(presets);
  }

  #show(names, answers) {
    const rows = answers.flatMap((answer, place) =>
      (answer.rules ?? [])
        .filter((rule) => rule.applies)
        .map((rule) => ({ mock: names[place], rule })),
    );
    const away = answers.map((answer) => answer.error).filter(Boolean);
    setText(
      this.#said,
      away[0] ??
        (rows.length
          ? ""
          : t("None: the mocks behave. Arm a preset or a rule below, or: make fault PRESET=lost-callbacks")),
    );
    const text = JSON.stringify(rows);
    // A button must not be exchanged under the finger that presses it.
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.#body.parentElement.hidden = rows.length === 0;
    this.#body.replaceChildren(...rows.map((row) => this.#line(row)));
  }

  #line({ mock, rule }) {
    const effects = rule.effects ?? [rule];
    const remove = button(t("Clear"), () => this.#remove(mock, rule.name), {
      "aria-label": t("Clear {name}", { name: rule.name }),
    });
    return card(COLUMNS, [
      el("span", { title: JSON.stringify(rule) }, rule.name),
      t(MOCKS[mock]),
      effects.map((effect) => effect.where).join(", "),
      effects.map((effect) => effect.do).join(", "),
      whomOf(rule),
      oftenOf(rule),
      `${rule.fired}${rule.spent ? t(", used up") : ""}`,
      remove,
    ]);
  }

  #remove(mock, name) {
    return attemptTo(async () => {
      await call("DELETE", `/console/${mock}/faults?name=${encodeURIComponent(name)}`);
      await this.#ask();
    });
  }

  #clear() {
    return attemptTo(async () => {
      await Promise.all(
        Object.keys(MOCKS).map((mock) => call("DELETE", `/console/${mock}/faults`)),
      );
      notify(t("The mocks behave again."));
      await this.#ask();
    });
  }

  #arm(mocks, body, sentence) {
    return attemptTo(async () => {
      await Promise.all(mocks.map((mock) => call("POST", `/console/${mock}/faults`, { body })));
      notify(sentence);
      await this.#ask();
    });
  }
}

const unseen = (text) => el("span", { class: "unseen" }, text);

async function asked(path) {
  try {
    return await get(path);
  } catch (error) {
    return { error: error.message };
  }
}

function counted(mock, stats) {
  if (stats.error) return `${t(MOCKS[mock])}: ${stats.error}`;
  const figures = { ...stats, mock: t(MOCKS[mock]) };
  return t(
    "{mock}: {in_flight} now, {accepted} accepted, {charged} charged, {faults_injected} faults injected",
    figures,
  );
}
