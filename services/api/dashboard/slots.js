// What the API says about the slot, asked again and again while the page is looked at.

import { call, get } from "./http.js";

const BUSY_MILLISECONDS = 1000;
const IDLE_MILLISECONDS = 4000;

/** The slot's state: limit, pause, holders, queue; `turns` gives a job's place from 1. */
export class Slots {
  view = null;
  turns = new Map();
  error = null;
  #busy;
  #listeners = new Set();

  constructor(busy) {
    this.#busy = busy;
  }

  get limit() {
    return this.view?.limit ?? 1;
  }

  listen(listener) {
    this.#listeners.add(listener);
  }

  async follow() {
    for (;;) {
      if (!document.hidden) await this.ask();
      await new Promise((done) =>
        setTimeout(
          done,
          this.#busy() || this.view?.holders.length ? BUSY_MILLISECONDS : IDLE_MILLISECONDS,
        ),
      );
    }
  }

  async ask() {
    try {
      this.#take(await get("/slots"));
    } catch (error) {
      this.error = error.message;
      this.#tell();
    }
  }

  /** Sets limit, pause or both; Failure where the API refuses. */
  async change(body) {
    this.#take(await call("PUT", "/slots", { body }));
  }

  #take(view) {
    this.view = view;
    this.error = null;
    this.turns = new Map(view.waiting.map((jobId, place) => [jobId, place + 1]));
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}
