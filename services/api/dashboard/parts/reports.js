// The report of a load test, found by the tag that its jobs carry.

import { el } from "../lib/dom.js";
import { ask } from "../lib/ask.js";
import { LANGUAGE, t } from "../lib/texts.js";

const RUN = /^load-(\d{8}-\d{6}-[0-9a-f]{4})(-|$)/;

/** A link to the report of a tag's run, or null where there is none yet. */
export async function reportLink(tag) {
  const run = RUN.exec(tag)?.[1];
  if (run === undefined) return null;
  const path = `/reports/${run}/report.html${LANGUAGE === "zh" ? "#zh" : ""}`;
  const found = await ask(path, { method: "HEAD" }).then(
    (answer) => answer.ok,
    () => false,
  );
  return found
    ? el("a", { href: path, target: "_blank", rel: "noopener" }, t("Report of this run"))
    : null;
}
