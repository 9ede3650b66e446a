"use strict";
// <customer-insight customer="1746" token="..."></customer-insight>: the insight card of one customer in any page.
// The service makes the card's HTML (GET v1/card/{id}); this file fetches it, binds its buttons and says what fails.
(() => {
  if (customElements.get("customer-insight") !== undefined) return;
  const STYLE = "STYLE";
  const NOTICES = "NOTICES";
  const SERVICE = document.currentScript?.src ?? document.baseURI;
  const KINDS = { 401: "expired", 403: "forbidden", 404: "unknown" };

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);

  // Where a page asks for Trusted Types, its policy has to allow the name "customer-insight".
  const policy = globalThis.trustedTypes?.createPolicy("customer-insight", { createHTML: (html) => html });
  const trusted = (html) => policy?.createHTML(html) ?? html;

  const newEventId = () =>
    "panel-" + Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  class CustomerInsight extends HTMLElement {
    // Set by the page: `token` (or the attribute), and `getToken`, asked for a new one when the old one has expired.
    static observedAttributes = ["src", "customer", "token", "lang"];
    #root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    #started = false;
    #turn = 0;
    #held = false;
    #renewing = null;
    #key = null;

    connectedCallback() {
      if (this.#started) return;
      this.#started = true;
      this.#root.adoptedStyleSheets = [sheet];
      this.#root.querySelector("style")?.remove();
      if (this.#root.querySelector("article") === null) void this.#load();
      else this.#bind();
    }

    attributeChangedCallback(name, before, after) {
      if (name === "token") this.token = after ?? undefined;
      if (!this.#started || before === after) return;
      // A token is of one customer; who can ask for a new one need not try the old.
      if (name === "customer" && typeof this.getToken === "function") this.token = undefined;
      if (name === "token" && this.#root.querySelector("[data-notice=expired]") === null) return;
      const turn = ++this.#turn;
      queueMicrotask(() => {
        if (turn === this.#turn) void this.#load();
      });
    }

    async #load() {
      const turn = ++this.#turn;
      const customer = this.getAttribute("customer");
      if (!customer) {
        this.#notice("empty");
        return;
      }
      if (this.#form === null) this.#notice("loading");
      const language = this.getAttribute("lang");
      const query = language ? `?lang=${encodeURIComponent(language)}` : "";
      let status = 0;
      let html = "";
      try {
        if (!this.token) await this.#renew();
        const answer = await this.#fetch(`v1/card/${encodeURIComponent(customer)}${query}`, { headers: { Accept: "text/html" } });
        status = answer.status;
        html = await answer.text();
      } catch {
        status = 0;
      }
      if (turn !== this.#turn) return;
      if (status === 200 && html.startsWith("<article")) {
        this.#show(html);
        this.#tell("insight-loaded", { customer, decision: this.#root.querySelector("article").dataset.decision ?? null });
      } else {
        this.#fail(status);
      }
    }

    async #fetch(path, options) {
      const given = (this.getAttribute("src") ?? new URL(".", SERVICE).href).replace(/\/*$/, "/");
      const address = new URL(path, new URL(given, document.baseURI));
      const send = () => {
        const headers = { ...options.headers };
        if (this.token) headers.Authorization = `Bearer ${this.token}`;
        if (this.#key !== null) headers["X-API-Key"] = this.#key;
        return fetch(address, { ...options, headers, credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" });
      };
      const answer = await send();
      return answer.status === 401 && (await this.#renew()) ? send() : answer;
    }

    #renew() {
      if (typeof this.getToken !== "function") return Promise.resolve(false);
      this.#renewing ??= (async () => {
        try {
          this.token = await this.getToken(this.getAttribute("customer"));
        } catch {
          this.token = undefined;
        }
        this.#renewing = null;
        return Boolean(this.token);
      })();
      return this.#renewing;
    }

    #fail(status) {
      if (status === 401 && this.#form !== null) {
        this.#form.querySelector(".said").textContent = this.#form.dataset.refused;
        return;
      }
      const kind = status === 0 ? "unreachable" : (KINDS[status] ?? "unavailable");
      this.#notice(kind);
      this.#tell("insight-error", { kind, status });
    }

    #notice(kind) {
      const wanted = [this.getAttribute("lang") ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
      this.#show(NOTICES[wanted.find((language) => language in NOTICES) ?? "en"][kind]);
    }

    #show(html) {
      this.#held ||= this.#root.activeElement !== null;
      this.#root.innerHTML = trusted(html);
      this.#bind();
      const title = this.#root.querySelector("h2");
      if (title === null) return;
      if (this.#held) title.focus({ preventScroll: true });
      this.#held = false;
    }

    get #form() {
      return this.#root.querySelector("form.key");
    }

    #bind() {
      this.#root.querySelector("[data-retry]")?.addEventListener("click", () => void this.#load());
      this.#form?.addEventListener("submit", (submitted) => {
        submitted.preventDefault();
        const field = this.#form.querySelector("input");
        this.#key = field.value;
        field.value = "";
        void this.#load();
      });
      const card = this.#root.querySelector("article");
      if (card.dataset.decision === undefined) return;
      for (const action of card.querySelectorAll("[data-action]")) {
        // An exposure that cannot be told is no reason to disturb the reader.
        this.#send(card, action, "shown").catch(() => undefined);
        for (const button of action.querySelectorAll("button[data-event]")) {
          button.addEventListener("click", () => {
            const idle = button.getAttribute("aria-disabled") === null && button.getAttribute("aria-pressed") === "false";
            if (idle) void this.#answer(card, action, button);
          });
        }
      }
    }

    #send(card, action, event) {
      const body = {
        event_id: newEventId(),
        decision_id: card.dataset.decision,
        action: action.dataset.action,
        event,
        event_time: new Date().toISOString(),
      };
      const headers = { "Content-Type": "application/json" };
      return this.#fetch("v1/feedback", { method: "POST", headers, body: JSON.stringify(body) });
    }

    async #answer(card, action, button) {
      const { event, done } = button.dataset;
      const { decision, refused, unreachable, expired } = card.dataset;
      const said = action.querySelector(".said");
      button.setAttribute("aria-disabled", "true");
      let status = 0;
      try {
        status = (await this.#send(card, action, event)).status;
      } catch {
        status = 0;
      }
      button.removeAttribute("aria-disabled");
      const saved = status >= 200 && status < 300;
      said.textContent = saved ? done : status === 0 ? unreachable : status === 401 ? expired : refused;
      said.classList.toggle("failed", !saved);
      if (!saved) {
        this.#tell("insight-error", { kind: "feedback", status });
        return;
      }
      for (const other of action.querySelectorAll("button[data-event]")) other.setAttribute("aria-pressed", String(other === button));
      action.classList.toggle("dismissed", event === "dismissed");
      this.#tell("insight-feedback", { decision, action: action.dataset.action, event });
    }

    #tell(name, detail) {
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }
  }

  customElements.define("customer-insight", CustomerInsight);
})();
