// The receipts of a job's callbacks: when, of what, and what became of each.

import { el, sideways } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { t } from "../lib/texts.js";

/** A table of receipts, or the sentence that says why there is none. */
export function receipts(rows) {
  const title = el("h3", { id: "receipts" }, t("Callbacks"));
  if (typeof rows === "string") return el("section", {}, title, el("p", { class: "hint" }, rows));
  if (!rows.length) return el("section", {}, title, el("p", { class: "hint" }, t("None has come.")));
  const head = ["Received", "Task", "Says", "Fate"].map((name) => el("th", { scope: "col" }, t(name)));
  const table = el(
    "table",
    { "aria-labelledby": "receipts" },
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows.map(line)),
  );
  return el("section", {}, title, sideways("receipts", table));
}

function line({ received_at: at, external_id: task, task_status: says, fate }) {
  const short = task.split(".").slice(1).map((part) => t(part)).join(" ") || task;
  return el(
    "tr",
    {},
    el("td", {}, el("time", { datetime: at }, clock(at))),
    el("td", {}, short),
    el("td", {}, says ?? "–"),
    el("td", {}, el("span", { class: `fate ${fate}` }, t(fate.replaceAll("_", " ")))),
  );
}
