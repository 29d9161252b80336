// The fault panel: what is armed in the mocks and how often it fired, presets, rules, clocks.

import {
  attemptTo,
  button,
  card,
  cards,
  el,
  field,
  notify,
  panel,
  select,
  setText,
} from "../lib/dom.js";
import { Repeat, call, get } from "../lib/api.js";
import { MOCKS, oftenOf, whomOf } from "../data/mocks.js";
import { listed, t } from "../lib/texts.js";

const MILLISECONDS = 1500;
const FIELDS = ["Rule", "Mock", "Where", "Does", "Matches", "How often", "Fired"];
const COLUMNS = [...FIELDS.map((name) => t(name)), ""];
// At `demo` an image takes 3 s and a video 7 s: long enough to watch, within the time limits.
const SPEEDS = { demo: 10, usual: 100, fast: 1000 };
const TARGETS = ["both", ...Object.values(MOCKS)];
const NONE =
  "No fault is armed. Arm a preset or a rule below, or: make fault PRESET=lost-callbacks";
const FIGURES =
  "{mock}: {in_flight} now, {accepted} accepted, {charged} charged, {faults_injected} faults injected";
const EXAMPLE = {
  where: "start",
  do: "fail",
  with: { at: 40 },
  often: { attempts: "1-2" },
  match: { share: 0.5 },
};

/** A view that asks the mocks while it is shown. */
export class FaultsView {
  title = "Faults";
  #mocks;
  #body = el("tbody");
  #said = el("p", { class: "hint" });
  #stats = el("p", { class: "hint" });
  #speeds = el("p", { class: "hint" });
  #presets = el("ul", { class: "presets", "aria-labelledby": "presets-title" });
  #rule = el("textarea", { id: "rule", rows: 9, spellcheck: "false", class: "code" });
  #target = select("rule-target", translated(TARGETS));
  #drawn = "";
  #repeat = new Repeat(() => this.#ask(), () => MILLISECONDS);

  constructor({ mocks }) {
    this.#mocks = mocks;
    mocks.listen(() => this.#drawStats());
    const clear = button(t("Clear all"), () => this.#clear(), { class: "danger" });
    const columns = [...COLUMNS.slice(0, -1), el("span", { class: "unseen" }, t("Clear"))];
    const armed = panel(
      "armed",
      t("Armed faults"),
      clear,
      this.#said,
      cards("armed-title", columns, this.#body),
      this.#stats,
    );
    const speeds = Object.entries(SPEEDS).map(([name, speed]) =>
      button(`${t(name)} (× ${speed})`, () => this.#setSpeed(speed)),
    );
    const inline = el("div", { class: "inline" }, ...speeds);
    const below = [panel("presets", t("Presets"), this.#presets), this.#ruleForm()];
    this.element = el(
      "div",
      { class: "view" },
      armed,
      panel("clock", t("Clock of the mocks"), this.#speeds, inline),
      el("div", { class: "panels" }, ...below),
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
    const answers = await Promise.all(
      this.#mocks.names.map((mock) =>
        get(`/console/${mock}/faults`).catch((error) => ({ rules: [], error: error.message })),
      ),
    );
    const rows = answers.flatMap(({ rules }, place) =>
      rules.filter((rule) => rule.applies).map((rule) => ({ mock: this.#mocks.names[place], rule })),
    );
    const away = answers.find((answer) => answer.error)?.error;
    setText(this.#said, away ?? (rows.length ? "" : t(NONE)));
    this.#drawRules(rows);
    const presets = answers.find((answer) => answer.presets)?.presets;
    if (presets && !this.#presets.hasChildNodes())
      this.#presets.append(...presets.map((each) => this.#preset(each)));
  }

  #drawRules(rows) {
    const text = JSON.stringify(rows);
    // A button must not be exchanged under the finger that presses it.
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.#body.parentElement.hidden = rows.length === 0;
    this.#body.replaceChildren(...rows.map((row) => this.#line(row)));
  }

  #line({ mock, rule }) {
    const path = `/console/${mock}/faults?name=${encodeURIComponent(rule.name)}`;
    const remove = button(t("Clear"), () => this.#change(() => call("DELETE", path)), {
      "aria-label": t("Clear {name}", { name: rule.name }),
    });
    return card(COLUMNS, [
      el("span", { title: JSON.stringify(rule) }, rule.name),
      t(MOCKS[mock]),
      rule.where,
      rule.do,
      whomOf(rule),
      oftenOf(rule),
      `${rule.fired}${rule.spent ? t(", used up") : ""}`,
      remove,
    ]);
  }

  #preset({ name, says, expect }) {
    // The mocks speak Markdown, this page doesn't.
    const plain = (text) => t(text.replaceAll("`", ""));
    const text = el(
      "div",
      {},
      el("strong", {}, name),
      el("p", {}, plain(says)),
      el("p", { class: "hint" }, t("Expect: {what}", { what: plain(expect) })),
    );
    const arm = () => this.#arm(this.#mocks.names, { preset: name }, t("Armed: {name}", { name }));
    return el("li", {}, text, button(t("Arm"), arm, { "aria-label": t("Arm {name}", { name }) }));
  }

  #ruleForm() {
    this.#rule.value = JSON.stringify(EXAMPLE, null, 2);
    const send = el("button", { type: "submit", class: "primary" }, t("Arm"));
    const form = el(
      "form",
      { submit: (event) => this.#armRule(event, send) },
      field(t("Rule, as docs/faults.md describes it"), this.#rule),
      el("div", { class: "inline" }, field(t("Mock"), this.#target), send),
    );
    return panel("rule", t("A rule of your own"), form);
  }

  async #armRule(event, send) {
    event.preventDefault();
    let rule;
    try {
      rule = JSON.parse(this.#rule.value);
    } catch (error) {
      notify(t("This is not JSON: {why}", { why: error.message }), "bad");
      return;
    }
    send.disabled = true;
    const asked = Object.keys(MOCKS).filter((mock) => MOCKS[mock] === this.#target.value);
    await this.#arm(asked.length ? asked : this.#mocks.names, rule, t("Armed."));
    send.disabled = false;
  }

  #arm(mocks, body, sentence) {
    const arm = (mock) => call("POST", `/console/${mock}/faults`, { body });
    return this.#change(() => Promise.all(mocks.map(arm)), sentence);
  }

  #clear() {
    const clear = (mock) => call("DELETE", `/console/${mock}/faults`);
    return this.#change(() => Promise.all(this.#mocks.names.map(clear)), t("All faults are cleared."));
  }

  #setSpeed(speed) {
    const set = (mock) => call("PUT", `/console/${mock}/clock`, { body: { speed } });
    const sentence = t("The mocks' clocks run {speed} times as fast as real time.", { speed });
    return this.#change(() => Promise.all(this.#mocks.names.map(set)), sentence);
  }

  #change(work, sentence = null) {
    return attemptTo(async () => {
      await work();
      if (sentence !== null) notify(sentence);
      await Promise.all([this.#ask(), this.#mocks.ask()]);
    });
  }

  #drawStats() {
    const known = this.#mocks.names.filter((mock) => this.#mocks.stats[mock]).map((mock) => ({
      ...this.#mocks.stats[mock],
      mock: t(MOCKS[mock]),
    }));
    const speeds = known.map(({ mock, speed }) => `${mock} × ${speed}`);
    setText(this.#speeds, listed(speeds) || t("The mocks don't answer."));
    setText(this.#stats, known.map((stats) => t(FIGURES, stats)).join("  ·  "));
  }
}

function translated(names) {
  return Object.fromEntries(names.map((name) => [name, t(name)]));
}
