// Says what an action did, to the eye and to a screen reader.

import { el } from "./dom.js";
import { t } from "./texts.js";

const SHOWN_MILLISECONDS = 6000;
// A link has to be reached, by the keyboard as well.
const LED_MILLISECONDS = 20_000;

/** Shows a sentence for some seconds, with a link where one leads on; an error stays until it is put away. */
export function notify(sentence, kind = "good", link = null) {
  const place = document.getElementById("notices");
  const close = el(
    "button",
    { type: "button", class: "quiet", "aria-label": t("Put away"), click: () => notice.remove() },
    "×",
  );
  const notice = el(
    "p",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    el("span", {}, sentence, link && " ", link),
    close,
  );
  place.append(notice);
  while (place.children.length > 4) place.firstElementChild.remove();
  if (kind !== "bad") removeLater(notice, link ? LED_MILLISECONDS : SHOWN_MILLISECONDS);
}

// Not from under a finger or the focus, which would be lost with it.
function removeLater(notice, milliseconds) {
  setTimeout(() => {
    if (notice.matches(":hover, :focus-within")) removeLater(notice, milliseconds);
    else notice.remove();
  }, milliseconds);
}

/** Does some work and shows its failure, if there is one; gives whether it went well. */
export async function attemptTo(work) {
  try {
    await work();
    return true;
  } catch (error) {
    notify(error.message, "bad");
    return false;
  }
}
