// What a page must not have; each function lists what it found. Read by test_access.py.

const OPERABLE =
  "a[href], button, input, select, textarea, progress, video, [role=dialog], [tabindex='0']";

function nameOf(element) {
  const ids = element.getAttribute("aria-labelledby")?.split(" ") ?? [];
  const texts = ids.map((id) => document.getElementById(id)?.textContent ?? "");
  const labels = [...(element.labels ?? [])].map((label) => label.textContent);
  const own = [element.getAttribute("aria-label") ?? "", element.textContent];
  return [...texts, ...labels, ...own].join("").trim();
}

/** Elements that can be operated and have no name that a screen reader could say. */
function nameless() {
  const visible = [...document.querySelectorAll(OPERABLE)].filter((each) => each.checkVisibility());
  return visible.filter((each) => !nameOf(each)).map((each) => each.outerHTML.slice(0, 120));
}

/** Ids that are given twice. */
function doubled() {
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  return ids.filter((id, place) => ids.indexOf(id) !== place);
}

function painter() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  return (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
}

// As WCAG 2 defines relative luminance.
function luminance(rgba) {
  const linear = rgba
    .slice(0, 3)
    .map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function groundOf(element, paint) {
  for (let each = element; each; each = each.parentElement) {
    const color = paint(getComputedStyle(each).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
}

function contrast(element, paint) {
  const lights = [paint(getComputedStyle(element).color), groundOf(element, paint)].map(luminance);
  return (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
}

function hasText(element) {
  return [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
}

/** Texts whose contrast with the ground behind them is below WCAG's AA. */
function faint() {
  const paint = painter();
  const texts = [...document.body.querySelectorAll("*")]
    .filter((each) => each.checkVisibility() && !each.disabled && hasText(each))
    .filter((each) => !each.closest("noscript, option, .skip, .unseen"));
  return texts
    .map((each) => [contrast(each, paint), each.outerHTML.slice(0, 100)])
    .filter(([ratio]) => ratio < 4.5);
}

/** By how many pixels the page is wider than its window. */
function overflow() {
  return Math.max(0, document.documentElement.scrollWidth - innerWidth);
}
