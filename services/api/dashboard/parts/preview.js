// The image and the video of a job, as soon as each is there.

import { el, setOr } from "../lib/dom.js";
import { jobPath } from "../lib/http.js";
import { hasImage, hasVideo, whyKept } from "../data/jobs.js";
import { t } from "../lib/texts.js";

/** A figure with the newest that there is, and links to the files. */
export class Preview {
  #key = "";
  element = el("div", { class: "preview" });

  clear() {
    this.#key = "";
    this.element.replaceChildren();
  }

  /** Draws only when a file has come: a playing video isn't begun anew. */
  show(job) {
    const why = whyKept(job);
    const key = `${job.job_id} ${hasImage(job)} ${hasVideo(job)} ${why}`;
    if (key === this.#key) return;
    this.#key = key;
    const image = jobPath(job.job_id, "/image");
    const video = jobPath(job.job_id, "/video");
    const parts = [];
    if (hasVideo(job)) parts.push(player(video, image, job));
    else if (hasImage(job))
      parts.push(el("img", { src: image, alt: t("Image of: {prompt}", { prompt: job.prompt.slice(0, 120) }) }));
    if (hasImage(job)) parts.push(links(job, image, hasVideo(job) ? video : null));
    if (why !== null) parts.unshift(el("p", { class: "hint" }, why));
    this.element.replaceChildren(...parts);
  }
}

function player(video, image, job) {
  const element = el("video", {
    src: video,
    poster: image,
    controls: true,
    loop: true,
    playsinline: true,
    preload: "metadata",
  });
  element.muted = true;
  setOr(element, "aria-label", t("Video of: {prompt}", { prompt: job.prompt.slice(0, 120) }));
  return element;
}

function links(job, image, video) {
  const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener" }, text);
  // The browser knows the suffix by the kind that the file is sent as.
  const save = (href, step) =>
    el("a", { href, download: `${job.job_id}.${step}` }, t(`Download the ${step}`));
  return el(
    "p",
    { class: "links" },
    link(image, t("Image")),
    save(image, "image"),
    video ? link(video, t("Video")) : null,
    video ? save(video, "video") : null,
  );
}
