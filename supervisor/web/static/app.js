// The only script of our own: what HTML and htmx can't say. Every page works without it.
"use strict";
(function () {
  // What somebody opened or is filling in stays as it is when a page is read anew.
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, node) {
    return !(name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG"));
  };
  // And a page that was drawn a moment ago never sets progress back that the stream has brought since.
  function drawnAt(node) {
    var at = node.querySelector("[data-at]");
    return at ? Number(at.getAttribute("data-at")) : 0;
  }
  Idiomorph.defaults.callbacks.beforeNodeMorphed = function (node, next) {
    if (node.nodeType !== 1) return true;
    if (node.matches(".live") && drawnAt(node) > drawnAt(next)) return false;
    return !node.matches("form.dirty");
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

  // After a link, readers of the screen are at the new page's beginning, and so is its top.
  document.addEventListener("htmx:afterSettle", function (e) {
    var boosted = e.detail.requestConfig && e.detail.requestConfig.boosted;
    if (!boosted || e.detail.requestConfig.verb !== "get") return;
    window.scrollTo(0, 0);
    var main = document.getElementById("main");
    if (main && !location.hash) main.focus({ preventScroll: true });
  });
})();
