"use strict";
(() => {
  // The key lives in this variable only: never in the address, a cookie or the browser's storage.
  let apiKey = null;
  let waiting = null;

  const withKey = (headers) => (apiKey === null ? headers : { ...headers, "X-API-Key": apiKey });
  const newEventId = () =>
    "panel-" + Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const send = (card, event) =>
    fetch(card.dataset.feedback, {
      method: "POST",
      headers: withKey({ "Content-Type": "application/json" }),
      body: JSON.stringify(event),
      credentials: "omit",
    });

  const say = (text, failed) => {
    const said = document.querySelector(".said");
    if (said === null) return;
    said.textContent = text;
    said.classList.toggle("failed", failed);
  };

  const eventOf = (card, action, name) => ({
    event_id: newEventId(),
    decision_id: card.dataset.decision,
    action: action.dataset.action,
    event: name,
    event_time: new Date().toISOString(),
  });

  const mark = (action, pressed) => {
    for (const button of action.querySelectorAll("button[data-event]")) {
      button.setAttribute("aria-pressed", String(button === pressed));
    }
    action.classList.toggle("dismissed", pressed.dataset.event === "dismissed");
  };

  const post = async (card, action, button, event) => {
    button.setAttribute("aria-disabled", "true");
    try {
      const answer = await send(card, event);
      if (answer.status === 401) {
        waiting = () => post(card, action, button, event);
        askForKey(apiKey === null ? "This service asks for an API key." : "This API key is not accepted.");
      } else if (answer.ok) {
        mark(action, button);
        say(button.dataset.done, false);
      } else {
        say("Not saved: the service refused it. Reload the page and try again.", true);
      }
    } catch {
      say("Not saved: the service cannot be reached. Try again.", true);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  const askForKey = (text) => {
    const form = document.querySelector("form.key");
    form.hidden = false;
    form.querySelector("input").focus();
    say(text, true);
  };

  const reload = async () => {
    try {
      const answer = await fetch(location.href, { headers: withKey({ Accept: "text/html" }), credentials: "omit" });
      // Style and script are here already; parsing them again would only break the content security policy.
      const text = (await answer.text()).replace(/<(style|script)\b[\s\S]*?<\/\1>/g, "");
      const page = new DOMParser().parseFromString(text, "text/html");
      if (answer.status === 401) {
        say("This API key is not accepted.", true);
        return;
      }
      document.title = page.title;
      document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
      start();
      document.querySelector("h1").focus();
    } catch {
      say("The service cannot be reached. Try again.", true);
    }
  };

  const start = () => {
    const card = document.querySelector("main");
    const form = card.querySelector("form.key");
    if (form !== null) {
      form.addEventListener("submit", (submitted) => {
        submitted.preventDefault();
        apiKey = form.querySelector("input").value;
        form.querySelector("input").value = "";
        if (card.dataset.locked !== undefined) {
          void reload();
        } else if (waiting !== null) {
          form.hidden = true;
          void waiting();
        }
      });
    }
    if (card.dataset.feedback === undefined) return;
    for (const action of card.querySelectorAll("[data-action]")) {
      // An exposure that cannot be told is no reason to disturb the reader.
      send(card, eventOf(card, action, "shown")).catch(() => undefined);
      for (const button of action.querySelectorAll("button[data-event]")) {
        button.addEventListener("click", () => {
          const idle = button.getAttribute("aria-disabled") === null && button.getAttribute("aria-pressed") === "false";
          if (idle) void post(card, action, button, eventOf(card, action, button.dataset.event));
        });
      }
    }
  };

  start();
})();
