// Keys for those who don't use a mouse: / searches, n writes a new job.

/** Listens where no field has the focus. */
export function listenToKeys({ address, jobs }) {
  const work = { "/": () => jobs.filters.focus(), n: () => jobs.form.focus() };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !work[event.key]) return;
    event.preventDefault();
    if (address.state.view !== "jobs" || address.state.job !== "")
      address.go({ view: "jobs", job: "" });
    work[event.key]();
  });
}
