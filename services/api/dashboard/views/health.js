// The health of every service: a view, and a word in the head of the page where one is not ready.

import { card, cards, el, setText } from "../lib/dom.js";
import { reasonsText } from "../lib/errors.js";
import { get } from "../lib/http.js";
import { Repeat } from "../lib/repeat.js";
import { listed, t } from "../lib/texts.js";

const MILLISECONDS = 5000;
const COLUMNS = ["Service", "State", "What it does"].map((name) => t(name));
const ROLES = {
  api: "takes jobs, serves this page",
  temporal: "keeps every job's history",
  worker: "runs the jobs",
  semaphore: "gives out the slot",
  callback: "hears the video service",
  "mock-comfyui": "stands in for the image service",
  "mock-kling": "stands in for the video service",
};

/** Asks for everyone's health all the time; `alarm` is an element for the head of the page. */
export class HealthView {
  title = "Health";
  #body = el("tbody");
  #said = el("p", { class: "hint", role: "status" });
  #alarm;

  constructor({ alarm }) {
    this.#alarm = alarm;
    this.element = el(
      "div",
      { class: "view" },
      el(
        "section",
        { class: "panel", "aria-labelledby": "health-title" },
        el("h2", { id: "health-title" }, t("Health")),
        this.#said,
        cards("health-title", COLUMNS, this.#body),
        el(
          "p",
          { class: "hint" },
          t("In a terminal: "),
          el("code", {}, "make ps"),
          t(", "),
          el("code", {}, "make logs S=worker"),
          t(", "),
          el("code", {}, "make doctor"),
          t("{what}.", { what: "" }),
        ),
      ),
    );
    new Repeat(() => this.#ask(), MILLISECONDS).start();
  }

  draw() {}

  async #ask() {
    try {
      this.#show(await get("/console/health"));
    } catch (error) {
      this.#say(error.message);
      this.#show([{ name: "api", ready: false, detail: t("does not answer") }]);
    }
  }

  #show(services) {
    const down = services.filter(isDown);
    this.#body.replaceChildren(...services.map(line));
    this.#alarm.hidden = down.length === 0;
    setText(this.#alarm, alarmOf(services));
    this.#alarm.title = down.map((each) => each.name).join(", ");
    if (!down.length) this.#say(t("All {n} services are ready.", { n: services.length }));
    else this.#say(t("{what}.", { what: alarmOf(services) }));
  }

  #say(sentence) {
    setText(this.#said, sentence);
  }
}

const isWorker = (service) => service.name.startsWith("worker");
const isDown = (service) => !service.ready;

/** Who is not ready, in a few words; of several workers, how many are left. */
export function alarmOf(services) {
  const workers = services.filter(isWorker);
  const left = workers.filter((each) => each.ready).length;
  const temporal = services.find((each) => each.name === "temporal" && isDown(each));
  // Those that wait for Temporal are no trouble of their own.
  const waits = (each) => temporal && (each.detail ?? "").startsWith("temporal:");
  const down = services.filter(
    (each) => isDown(each) && !waits(each) && !(isWorker(each) && left > 0),
  );
  const parts = left > 0 && left < workers.length ? [t("{n} of {all} workers", { n: left, all: workers.length })] : [];
  if (down.length > 1) parts.unshift(t("{n} services not ready", { n: down.length }));
  else if (down.length === 1) parts.unshift(t("{name} not ready", { name: down[0].name }));
  return listed(parts);
}

function line({ name, ready, detail }) {
  const state = el(
    "span",
    { class: `status ${ready ? "succeeded" : "failed"}` },
    ready ? t("ready") : reasonsText(detail),
  );
  return card(COLUMNS, [name, state, t(ROLES[name.split(" ")[0]] ?? "")]);
}
