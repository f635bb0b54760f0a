// The only script of our own: what HTML and htmx can't say. Every page works without it.
"use strict";
(function () {
  // What somebody opened or is filling in stays as it is when a page is read anew.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, node) {
    return !(name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG"));
  };
  Idiomorph.defaults.callbacks.beforeNodeMorphed = function (node) {
    return !(node.nodeType === 1 && node.matches("form.dirty"));
  };
  document.addEventListener("input", function (e) {
    var form = e.target.closest("form[data-keep]");
    if (form) form.classList.add("dirty");
  });
  document.addEventListener("submit", function (e) { e.target.classList.remove("dirty"); });

  // A browser opens six connections to a house at most, in all its tabs: a tab that nobody sees gives its stream back.
  var stream = null, resting = false;
  htmx.createEventSource = function (url) { return (stream = new EventSource(url, { withCredentials: true })); };
  document.addEventListener("visibilitychange", function () {
    if (!stream) return;
    if (document.hidden && !resting) { resting = true; stream.close(); }
    if (!document.hidden && resting) { resting = false; lost = true; stream.onerror(new Event("error")); }
  });

  // A stream that is lost is told, and when it is back the page is read anew.
  var lost = false;
  function offline(on) { document.getElementById("offline").hidden = !on; }
  document.addEventListener("htmx:sseError", function () { if (!lost) offline(true); lost = true; });
  document.addEventListener("htmx:sseOpen", function () {
    offline(false);
    var main = document.getElementById("main");
    if (lost && main.hasAttribute("hx-get")) htmx.trigger(main, "sse:reset");
    lost = false;
  });
  document.addEventListener("htmx:sendError", function () { offline(true); });
  document.addEventListener("htmx:afterRequest", function (e) { if (e.detail.successful && !lost) offline(false); });

  // A log stays at its end while somebody is there, and what is followed for hours does not fill the browser.
  var atEnd = true;
  function toEnd() { var log = document.getElementById("log"); if (log) log.scrollTop = log.scrollHeight; }
  document.addEventListener("htmx:sseBeforeMessage", function (e) {
    var log = e.target.closest(".log");
    if (log) atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
  });
  document.addEventListener("htmx:sseMessage", function (e) {
    var log = e.target.closest(".log"), lines = log && log.querySelector(".log-lines");
    while (lines && lines.childElementCount > 2000) lines.removeChild(lines.firstElementChild);
    if (log && atEnd) toEnd();
  });
  toEnd();

  // After a link, readers of the screen are at the new page's beginning, and so is its top.
  document.addEventListener("htmx:afterSettle", function (e) {
    var boosted = e.detail.requestConfig && e.detail.requestConfig.boosted;
    if (!boosted || e.detail.requestConfig.verb !== "get") return;
    window.scrollTo(0, 0);
    toEnd();
    var main = document.getElementById("main");
    if (main && !location.hash) main.focus({ preventScroll: true });
  });
})();
