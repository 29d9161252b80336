// The start of the page: makes the parts and joins them; every part gets what it needs from here.

import { Address } from "./address.js";
import { el, setText } from "./dom.js";
import { Drawer } from "./drawer.js";
import { Feed } from "./feed.js";
import { get } from "./http.js";
import { JobsView } from "./jobsview.js";
import { attemptTo } from "./notices.js";
import { Slots } from "./slots.js";
import { JobStore } from "./store.js";

const LINK = { connecting: "Connecting…", live: "Live", lost: "Connection lost, trying again…" };

function showLink(state) {
  const link = document.getElementById("link");
  link.dataset.state = state;
  setText(link, LINK[state]);
}

function workflowsOf(config) {
  return `${config.temporal_ui_url}/namespaces/${encodeURIComponent(config.temporal_namespace)}/workflows`;
}

function showSurroundings(config) {
  const mode = document.getElementById("mode");
  mode.hidden = false;
  mode.classList.add(config.mocks ? "mocks" : "real");
  setText(mode, config.mocks ? "mocks" : "real services");
  document.getElementById("elsewhere").prepend(el("a", { href: workflowsOf(config), target: "_blank", rel: "noopener" }, "Temporal UI"));
}

function start() {
  const store = new JobStore();
  const address = new Address();
  const slots = new Slots(() => store.open().length > 0);
  const jobs = new JobsView({ store, address, slots });
  let ui = null;
  const runAgain = (input) => {
    address.go({ job: "", view: "jobs" });
    jobs.form.fill(input);
  };
  const drawer = new Drawer({ store, address, runAgain, ui: () => ui });
  document.getElementById("main").replaceChildren(jobs.element, drawer.element);
  const draw = (changed) => {
    jobs.draw(changed);
    drawer.draw();
  };
  draw();
  store.listen(draw);
  address.listen(() => draw());
  const known = (jobIds) => {
    store.keepOnly(jobIds);
    jobs.complete();
  };
  new Feed({ onJob: (job) => store.put(job), onState: showLink, onAll: known }).start();
  slots.follow();
  attemptTo(async () => {
    const config = await get("/dashboard/config");
    ui = workflowsOf(config);
    showSurroundings(config);
  });
  attemptTo(() => jobs.form.load());
}

start();
