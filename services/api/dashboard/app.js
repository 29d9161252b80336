// The start of the page: makes the parts and joins them; each part gets what it needs from here.

import { Address } from "./data/address.js";
import { Feed } from "./data/feed.js";
import { PIPELINES } from "./data/jobs.js";
import { Mocks } from "./data/mocks.js";
import { Slots } from "./data/slots.js";
import { JobStore } from "./data/store.js";
import { get, listenToSilence, untilDone } from "./lib/api.js";
import { attemptTo, follow, linkTo, outside, setOr, setText } from "./lib/dom.js";
import { count } from "./lib/format.js";
import { OTHER, t, translate } from "./lib/texts.js";
import { BatchesView } from "./views/batches.js";
import { Drawer } from "./views/drawer.js";
import { FaultsView } from "./views/faults.js";
import { HealthView } from "./views/health.js";
import { JobsView } from "./views/jobs.js";

const byId = (id) => document.getElementById(id);

function start() {
  translate(document.documentElement);
  const store = new JobStore();
  const address = new Address();
  const slots = new Slots(store);
  const mocks = new Mocks();
  const jobs = new JobsView({ store, address, slots, mocks });
  const views = new Views(address, {
    jobs,
    batches: new BatchesView({ store, address }),
    faults: new FaultsView({ mocks }),
    health: new HealthView({ alarm: byId("alarm") }),
  });
  const drawer = new Drawer({
    store,
    address,
    mocks,
    runAgain: (input) => {
      address.go({ job: "", view: "jobs" });
      jobs.form.fill(input);
    },
  });
  byId("main").append(drawer.element);
  follow(byId("alarm"), address, { view: "health", job: "" });
  follow(byId("armed"), address, { view: "faults", job: "" });

  const draw = (changed = null) => {
    views.draw(changed);
    offerOtherLanguage(address);
    drawer.draw();
  };
  store.listen(draw);
  address.listen(() => draw());
  mocks.listen((hit) => {
    showArmed(mocks.armed);
    if (hit.size > 0) draw(hit);
  });
  draw();
  listenToKeys(address, { "/": () => jobs.filters.focus(), n: () => jobs.form.focus() });
  listenToSilence((silent) => showLink({ silent }));

  const feed = new Feed({
    store,
    onState: (socket) => showLink({ socket }),
    onAll: (jobIds) => {
      store.keepOnly(jobIds);
      jobs.complete();
    },
  });
  const learn = async () => {
    const config = await get("/dashboard/config");
    drawer.temporalUi = showSurroundings(config);
    Object.assign(PIPELINES, config.pipelines);
    jobs.form.offer(config.pipelines);
    if (config.mocks.length) mocks.follow(config.mocks);
    else views.withdraw("faults");
  };
  // A socket that is refused does not say why: the token has been asked for by then.
  const first = learn().catch(() => void attemptTo(() => untilDone(learn)));
  first.finally(() => feed.start());
  slots.follow();
}

const LINK = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
  silent: "The API gives no answer, trying again…",
};
const link = { socket: "connecting", silent: false };

// A socket to an API that is frozen stays open: what the calls hear counts more.
function showLink(known) {
  Object.assign(link, known);
  const state = link.silent ? "silent" : link.socket;
  byId("link").dataset.state = state;
  setText(byId("link"), t(LINK[state]));
}

// By the stages whose vendors are mocks.
const REAL = { "": "real services", image: "real videos", video: "real images" };

function showSurroundings(config) {
  const mode = byId("mode");
  mode.hidden = false;
  const real = REAL[config.mocks.join()];
  mode.classList.add(real ? "real" : "mocks");
  setText(mode, t(real ?? "mocks"));
  const namespace = encodeURIComponent(config.temporal_namespace);
  const address = `${config.temporal_ui_url}/namespaces/${namespace}/workflows`;
  byId("elsewhere").prepend(outside(address, t("Temporal UI")));
  return address;
}

function showArmed(armed) {
  byId("armed").hidden = armed === 0;
  setText(byId("armed"), t("{rules} armed", { rules: count(armed, "rule") }));
}

// The texts are chosen when the page is loaded, so this link loads it again.
function offerOtherLanguage(address) {
  const other = byId("other");
  setText(other, OTHER.name);
  other.lang = OTHER.lang;
  other.href = address.with({ lang: OTHER.lang });
}

/** The tabs, and the one view that the address names; each may `enter` and `leave`. */
class Views {
  #address;
  #views;
  #links = new Map();
  #current = null;

  constructor(address, views) {
    this.#address = address;
    this.#views = views;
    for (const [name, view] of Object.entries(views))
      this.#links.set(name, linkTo(address, { view: name, job: "" }, t(view.title)));
    byId("views").append(...this.#links.values());
  }

  /** Takes a view away, as that of the faults if there is nothing to arm. */
  withdraw(name) {
    this.#links.get(name).remove();
    this.#links.delete(name);
    delete this.#views[name];
    this.draw();
  }

  draw(changed = null) {
    const { view } = this.#address.state;
    const wanted = Object.hasOwn(this.#views, view) ? view : "jobs";
    if (wanted !== this.#current) this.#turnTo(wanted);
    this.#views[wanted].draw(changed);
  }

  #turnTo(name) {
    this.#views[this.#current]?.leave?.();
    this.#current = name;
    const view = this.#views[name];
    byId("view").replaceChildren(view.element);
    for (const [each, tab] of this.#links)
      setOr(tab, "aria-current", each === name ? "page" : null);
    document.title = name === "jobs" ? "genvideo" : `${t(view.title)} – genvideo`;
    view.enter?.();
  }
}

// Keys for those who don't use a mouse; they work while no field has the focus.
function listenToKeys(address, work) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !work[event.key]) return;
    event.preventDefault();
    const { view, job } = address.state;
    if (view !== "jobs" || job !== "") address.go({ view: "jobs", job: "" });
    work[event.key]();
  });
}

start();
