"use strict";
// Runs before the element's own file. The token lives in the element's memory only: it leaves the address at once, and is
// never in a cookie or the browser's storage.
(() => {
  const insight = document.querySelector("customer-insight");
  const address = new URL(location.href);
  const token = address.searchParams.get("t");
  if (token !== null) {
    insight.token = token;
    address.searchParams.delete("t");
    history.replaceState(history.state, "", address);
  }
  if (token === null || parent === window) return;
  // In a frame the page around it can give a new token; only it is listened to, and frame-ancestors says who that may be.
  insight.getToken = () =>
    new Promise((resolve) => {
      const done = (given) => {
        removeEventListener("message", hear);
        clearTimeout(timer);
        resolve(given);
      };
      const hear = (message) => {
        if (message.source === parent && message.data?.type === "foresight-token") done(message.data.token);
      };
      const timer = setTimeout(() => done(undefined), 10_000);
      addEventListener("message", hear);
      parent.postMessage({ type: "foresight-token-expired" }, "*");
    });
})();
