// The start of the page: makes the parts and joins them; every part gets what it needs from here.

import { Address } from "./data/address.js";
import { BatchesView } from "./views/batches.js";
import { el, setText } from "./lib/dom.js";
import { Drawer } from "./views/drawer.js";
import { FaultsView } from "./views/faults.js";
import { Feed } from "./data/feed.js";
import { HealthView } from "./views/health.js";
import { get } from "./lib/http.js";
import { listenToSilence } from "./lib/ask.js";
import { count } from "./lib/format.js";
import { JobsView } from "./views/jobs.js";
import { listenToKeys } from "./parts/keys.js";
import { Mocks } from "./data/mocks.js";
import { attemptTo } from "./lib/notices.js";
import { untilDone } from "./lib/repeat.js";
import { Slots } from "./data/slots.js";
import { JobStore } from "./data/store.js";
import { OTHER, t, translate } from "./lib/texts.js";
import { Views } from "./parts/tabs.js";

const LINK = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Connection lost, trying again…",
  silent: "The API gives no answer, trying again…",
};
const byId = (id) => document.getElementById(id);

// A socket to an API that is frozen stays open: what the calls hear counts more.
const link = { socket: "connecting", silent: false };

function showLink(known) {
  Object.assign(link, known);
  const state = link.silent ? "silent" : link.socket;
  byId("link").dataset.state = state;
  setText(byId("link"), t(LINK[state]));
}

function workflowsOf(config) {
  return `${config.temporal_ui_url}/namespaces/${encodeURIComponent(config.temporal_namespace)}/workflows`;
}

function showSurroundings(config) {
  const mode = byId("mode");
  mode.hidden = false;
  mode.classList.add(config.mocks ? "mocks" : "real");
  setText(mode, t(config.mocks ? "mocks" : "real services"));
  byId("elsewhere").prepend(
    el("a", { href: workflowsOf(config), target: "_blank", rel: "noopener" }, t("Temporal UI")),
  );
}

function showArmed({ armed }) {
  byId("armed").hidden = armed === 0;
  setText(byId("armed"), t("{rules} armed", { rules: count(armed, "rule") }));
}

function leadTo(view, link, address) {
  link.href = address.with({ view });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    address.go({ view, job: "" });
  });
}

function makeParts() {
  const store = new JobStore();
  const address = new Address();
  const slots = new Slots(store);
  const mocks = new Mocks();
  const jobs = new JobsView({ store, address, slots, mocks });
  const health = new HealthView({ alarm: byId("alarm") });
  leadTo("health", byId("alarm"), address);
  leadTo("faults", byId("armed"), address);
  const named = {
    jobs,
    batches: new BatchesView({ store, address }),
    faults: new FaultsView({ mocks }),
    health,
  };
  const views = new Views({ views: named, address, place: byId("view"), tabs: byId("views") });
  return { store, address, slots, mocks, jobs, views };
}

function makeDrawer({ store, address, jobs, mocks }, surroundings) {
  const runAgain = (input) => {
    address.go({ job: "", view: "jobs" });
    jobs.form.fill(input);
  };
  return new Drawer({ store, address, mocks, runAgain, ui: () => surroundings.ui });
}

async function learnSurroundings({ views, mocks }, surroundings) {
  const config = await get("/dashboard/config");
  surroundings.ui = workflowsOf(config);
  showSurroundings(config);
  if (config.mocks) mocks.follow();
  else views.withdraw("faults");
}

// The texts are chosen when the page is loaded, so it is loaded anew.
function offerOther(address) {
  const link = byId("other");
  setText(link, OTHER.name);
  link.lang = OTHER.lang;
  link.href = address.with({ lang: OTHER.lang });
}

function start() {
  translate(document.documentElement);
  const parts = makeParts();
  const { store, address, slots, mocks, jobs, views } = parts;
  const surroundings = { ui: null };
  const drawer = makeDrawer(parts, surroundings);
  byId("main").append(drawer.element);
  const draw = (changed = null) => {
    views.draw(changed);
    offerOther(address);
    drawer.draw();
  };
  store.listen(draw);
  mocks.listen((hit) => {
    showArmed(mocks);
    if (hit.size > 0) draw(hit);
  });
  address.listen(() => draw());
  draw();
  listenToKeys({ address, jobs });
  const known = (jobIds) => {
    store.keepOnly(jobIds);
    jobs.complete();
  };
  const feed = new Feed({ store, onState: (socket) => showLink({ socket }), onAll: known });
  listenToSilence((silent) => showLink({ silent }));
  const learn = () => learnSurroundings(parts, surroundings).then(() => drawer.learn());
  // A socket that is refused does not say why: by then the token has been asked for.
  const first = learn().catch(() => void attemptTo(() => untilDone(learn)));
  first.finally(() => feed.start());
  slots.follow();
  jobs.form.load().catch(() => attemptTo(() => untilDone(() => jobs.form.load())));
}

start();
