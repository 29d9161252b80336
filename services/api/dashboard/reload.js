// Load the page again if a file of it did not arrive, as when a container's network comes or goes.

addEventListener("error", onError, true);

function onError({ target }) {
  if (target.matches?.("head > *")) setTimeout(() => location.reload(), 1500);
}
