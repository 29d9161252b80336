// The filters above the table; what they say is in the address, and comes from there.

import { arrange, el, setOr, setText } from "../lib/dom.js";
import { SPANS, spanText, tally } from "../data/choose.js";
import { STATUSES } from "../lib/statuses.js";
import { t } from "../lib/texts.js";

/** Buttons per status with their counts, a search field, tags, and the order. */
export class Filters {
  #store;
  #address;
  #chips = new Map();
  #search = el("input", {
    type: "search",
    id: "search",
    placeholder: t("Prompt, style, tag, id, error"),
    autocomplete: "off",
    input: () => this.#typed(),
  });
  #tag = el("select", {
    id: "tag",
    change: () => this.#address.go({ tag: this.#tag.value, page: "1" }),
  });
  #within = el(
    "select",
    { id: "within", change: () => this.#address.go({ within: this.#within.value, page: "1" }) },
    el("option", { value: "" }, t("any time")),
    ...Object.keys(SPANS).map((span) => el("option", { value: span }, spanText(span))),
  );
  #sort = el(
    "select",
    { id: "sort", change: () => this.#address.go({ sort: this.#sort.value, page: "1" }) },
    el("option", { value: "active" }, t("active first")),
    el("option", { value: "newest" }, t("newest first")),
    el("option", { value: "oldest" }, t("oldest first")),
  );

  constructor({ store, address }) {
    this.#store = store;
    this.#address = address;
    for (const status of STATUSES) this.#chips.set(status, this.#chip(status));
    this.element = el(
      "form",
      {
        class: "filters",
        role: "search",
        "aria-label": t("Filter the jobs"),
        submit: (event) => event.preventDefault(),
      },
      el(
        "div",
        { class: "chips", role: "group", "aria-label": t("Status") },
        ...[...this.#chips.values()].map((chip) => chip.element),
      ),
      el("div", { class: "field" }, el("label", { for: "search" }, t("Search")), this.#search),
      el("div", { class: "field" }, el("label", { for: "tag" }, t("With tag")), this.#tag),
      el("div", { class: "field" }, el("label", { for: "within" }, t("Submitted")), this.#within),
      el("div", { class: "field" }, el("label", { for: "sort" }, t("Order")), this.#sort),
    );
  }

  draw() {
    const state = this.#address.state;
    const counts = tally(this.#store.all(), state);
    const chosen = state.status.split(",");
    for (const [status, { element, number }] of this.#chips) {
      setText(number, String(counts[status] ?? 0));
      setOr(element, "aria-pressed", chosen.includes(status));
    }
    if (document.activeElement !== this.#search) this.#search.value = state.q;
    this.#tags(state.tag);
    this.#sort.value = state.sort;
    this.#within.value = state.within;
  }

  focus() {
    this.#search.focus();
  }

  #chip(status) {
    const number = el("span", { class: "number" }, "0");
    const element = el(
      "button",
      {
        type: "button",
        class: `chip ${status}`,
        "aria-pressed": "false",
        click: () => this.#toggle(status),
      },
      `${t(status)} `,
      number,
    );
    return { element, number };
  }

  #toggle(status) {
    const chosen = new Set(this.#address.state.status.split(",").filter(Boolean));
    if (!chosen.delete(status)) chosen.add(status);
    this.#address.go({ status: [...chosen].join(","), page: "1" });
  }

  #typed() {
    this.#address.go({ q: this.#search.value, page: "1" }, { replace: true });
  }

  #tags(chosen) {
    const tags = new Set([...this.#store.all()].map((job) => job.tag).filter(Boolean));
    if (chosen) tags.add(chosen);
    const wanted = ["", ...[...tags].sort().reverse()];
    const present = [...this.#tag.options].map((option) => option.value);
    if (wanted.join("\n") !== present.join("\n")) {
      arrange(
        this.#tag,
        wanted.map((value) => el("option", { value }, value || t("any tag"))),
      );
    }
    this.#tag.value = chosen;
  }
}
