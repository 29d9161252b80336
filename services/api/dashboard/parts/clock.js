// The speed of the mocks' clocks, and how fast a job is to be watched.

import { button, el, setText } from "../lib/dom.js";
import { call } from "../lib/http.js";
import { attemptTo, notify } from "../lib/notices.js";
import { MOCKS } from "../data/mocks.js";
import { listed, t } from "../lib/texts.js";

// An image of 30 nominal seconds takes 3, a video of 70 takes 7: long enough to watch, and within the
// time that a worker allows where mocks are on.
const SPEEDS = { demo: 10, usual: 100, fast: 1000 };

/** A panel with the speeds that there are; `mocks` knows the one in force. */
export class ClockPanel {
  #mocks;
  #said = el("p", { class: "hint" });

  constructor(mocks) {
    this.#mocks = mocks;
    const choices = Object.entries(SPEEDS).map(([name, speed]) =>
      button(`${t(name)} (× ${speed})`, () => this.#set(speed)),
    );
    this.element = el(
      "section",
      { class: "panel", "aria-labelledby": "clock-title" },
      el("h2", { id: "clock-title" }, t("Clock of the mocks")),
      this.#said,
      el("div", { class: "inline" }, ...choices),
    );
    mocks.listen(() => this.#show());
  }

  #show() {
    const speeds = Object.entries(this.#mocks.stats).map(
      ([mock, { speed }]) => `${t(MOCKS[mock])} × ${speed}`,
    );
    setText(this.#said, listed(speeds) || t("The mocks don't answer."));
  }

  #set(speed) {
    return attemptTo(async () => {
      const order = (mock) => call("PUT", `/console/${mock}/clock`, { body: { speed } });
      await Promise.all(Object.keys(MOCKS).map(order));
      notify(t("The mocks' clocks run {speed} times as fast as the wall's.", { speed }));
      await this.#mocks.ask();
    });
  }
}
