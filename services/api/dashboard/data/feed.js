// The live feed: every job in pages, then each change; a lost one goes on where it broke off.

import { get } from "../lib/api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
const PAGE = 1000;

/** Follows `/ws/jobs`. `onState` hears connecting, live or lost; `onAll` the ids that there are. */
export class Feed {
  #handlers;
  #store;
  #pause = FIRST_PAUSE;
  #retry = 0;
  #change = null;
  #seen = new Set();
  #socket = null;

  constructor({ store, onState, onAll }) {
    this.#store = store;
    this.#handlers = { onState, onAll };
    window.addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  async start() {
    this.#handlers.onState("connecting");
    this.#socket = "coming";
    try {
      if (this.#change === null) await this.#readPages();
      this.#listen();
    } catch {
      this.#lost();
    }
  }

  // The newest come first; what changes meanwhile comes over the socket.
  async #readPages() {
    this.#seen = new Set();
    let [change, cursor] = [null, ""];
    while (cursor !== null) {
      const page = await get(`/jobs?limit=${PAGE}${cursor && `&cursor=${cursor}`}`);
      change ??= page.change;
      page.jobs.forEach((job) => this.#take(job));
      cursor = page.next_cursor && encodeURIComponent(page.next_cursor);
    }
    this.#change = change;
  }

  #listen() {
    const address = new URL("/ws/jobs", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.search = new URLSearchParams({ mark: true, since: this.#change });
    this.#socket = new WebSocket(address);
    this.#socket.onmessage = (event) => this.#received(JSON.parse(event.data));
    this.#socket.onclose = () => this.#lost();
  }

  #take(job) {
    this.#seen.add(job.job_id);
    this.#store.put(job);
  }

  #received(frame) {
    if (frame.complete !== undefined) {
      this.#caughtUp(frame);
      return;
    }
    this.#change = frame.change;
    this.#take(frame);
  }

  // If the counts differ, some jobs went without a message, or it was another process's feed.
  #caughtUp({ complete, jobs }) {
    if (this.#seen.size !== jobs) {
      this.#change = null;
      this.#socket.close();
      return;
    }
    this.#pause = FIRST_PAUSE;
    this.#change = complete;
    this.#handlers.onAll(this.#seen);
    this.#handlers.onState("live");
  }

  #lost() {
    this.#socket = null;
    this.#handlers.onState("lost");
    // Many pages must not come back in the same instant.
    this.#retry = setTimeout(() => this.start(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #now() {
    if (this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.start();
  }
}
