// The health of every service: a view, and a word at the page's top if one is not ready.

import { card, cards, el, panel, setText } from "../lib/dom.js";
import { Repeat, get } from "../lib/api.js";
import { listed, reasonsText, t } from "../lib/texts.js";

const MILLISECONDS = 5000;
const COLUMNS = [t("Service"), t("State")];

/** Asks for the health of all the time; `alarm` is an element at the page's top. */
export class HealthView {
  title = "Health";
  #body = el("tbody");
  #said = el("p", { class: "hint", role: "status" });
  #alarm;

  constructor({ alarm }) {
    this.#alarm = alarm;
    const table = cards("health-title", COLUMNS, this.#body);
    this.element = el("div", { class: "view" }, panel("health", t("Health"), this.#said, table));
    new Repeat(() => this.#ask(), () => MILLISECONDS).start();
  }

  draw() {}

  async #ask() {
    try {
      const services = await get("/console/health");
      this.#show(services);
      const said = alarmOf(services);
      const all = t("All {n} services are ready.", { n: services.length });
      setText(this.#said, said ? t("{what}.", { what: said }) : all);
    } catch (error) {
      this.#show([{ name: "api", ready: false, detail: t("does not answer") }]);
      setText(this.#said, error.message);
    }
  }

  #show(services) {
    const down = services.filter((each) => !each.ready);
    this.#body.replaceChildren(...services.map(line));
    this.#alarm.hidden = down.length === 0;
    this.#alarm.title = down.map((each) => each.name).join(", ");
    setText(this.#alarm, alarmOf(services));
  }
}

/** Which services are not ready, in a few words; of several workers, how many are left. */
export function alarmOf(services) {
  const isWorker = ({ name }) => name.startsWith("worker");
  const workers = services.filter(isWorker);
  const left = workers.filter((each) => each.ready).length;
  const isTemporalAway = services.some((each) => each.name === "temporal" && !each.ready);
  // One that waits for Temporal is no trouble of its own.
  const waits = ({ detail }) => isTemporalAway && (detail ?? "").startsWith("temporal:");
  const down = services.filter(
    (each) => !each.ready && !waits(each) && !(isWorker(each) && left > 0),
  );
  const parts = [];
  if (down.length > 1) parts.push(t("{n} services not ready", { n: down.length }));
  if (down.length === 1) parts.push(t("{name} not ready", { name: down[0].name }));
  if (left > 0 && left < workers.length)
    parts.push(t("{n} of {all} workers", { n: left, all: workers.length }));
  return listed(parts);
}

function line({ name, ready, detail }) {
  const attributes = { class: `status ${ready ? "succeeded" : "failed"}` };
  const state = el("span", attributes, ready ? t("ready") : reasonsText(detail));
  return card(COLUMNS, [name, state]);
}
