// What others listen to.

export class Listened {
  #listeners = new Set();

  /** Calls `listener` with each change. */
  listen(listener) {
    this.#listeners.add(listener);
  }

  notify(change) {
    for (const listener of this.#listeners) listener(change);
  }
}
