// One chart over time: a column for each part, with its own scale, in words for who can't see it.

import { el, setText } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { t } from "../lib/texts.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [600, 90];

/** A figure with `title`; `write` makes words of a value. */
export class Chart {
  #title;
  #write;
  #said = el("span", { class: "hint" });
  #place = el("div", { class: "columns" });

  constructor(title, kind, write) {
    this.#title = title;
    this.#write = write;
    this.element = el(
      "figure",
      { class: `chart ${kind}` },
      el("figcaption", {}, el("strong", {}, title), " ", this.#said),
      this.#place,
    );
  }

  /** The values of parts of so many milliseconds, from an instant on. */
  draw(values, { from, length }) {
    const most = Math.max(...values);
    const figures = { most: this.#write(most), now: this.#write(values.at(-1)) };
    setText(this.#said, most > 0 ? t("at the most {most}, now {now}", figures) : t("nothing"));
    const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `${this.#title}: ${this.#said.textContent}`);
    const wide = WIDTH / values.length;
    values.forEach((value, place) => {
      if (value <= 0) return;
      const height = Math.max(2, (value / most) * (HEIGHT - 4));
      const column = { x: place * wide, y: HEIGHT - height, width: wide - 1, height };
      const title = shape("title", {});
      title.textContent = `${clock(from + place * length)}: ${this.#write(value)}`;
      const rect = shape("rect", column);
      rect.append(title);
      picture.append(rect);
    });
    this.#place.replaceChildren(picture);
  }
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
