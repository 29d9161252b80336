// Starts the page. Where a part of it doesn't arrive, as while networks come and go, it is loaded anew.

const AGAIN_AFTER = 1500;
// In the words of each browser.
const NOT_ARRIVED = /fetch|loading|Importing/;

import("./app.js").catch((error) => {
  if (!(error instanceof TypeError && NOT_ARRIVED.test(error.message))) throw error;
  setTimeout(() => location.reload(), AGAIN_AFTER);
});
