// What HTML and htmx can't say. Every page works without it. start.js has it read after the first paint, behind htmx.
"use strict";
(function () {
  // What somebody opened or is filling in stays as it is when a page is read anew.
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
    // Not Idiomorph's ignoreActiveValue: it leaves out all below the active element, which after a link is the page itself.
    return !(node.matches("form.dirty") || (node === document.activeElement && node.matches("input, select, textarea")));
  };
  document.addEventListener("input", function (e) {
    var form = e.target.closest("form[data-keep]");
    if (form) form.classList.add("dirty");
  });
  document.addEventListener("submit", function (e) { e.target.classList.remove("dirty"); });

  // A browser opens six connections to a house at most, in all its tabs: a tab that nobody sees gives its streams back.
  // When it wakes, its stream goes on behind what it has heard, not where its first page was drawn.
  var open = [], resting = [], waking = false, heard = 0, last = "";
  function keep(e) { if (e.lastEventId) last = e.lastEventId; }
  htmx.createEventSource = function (url) {
    var own = url.indexOf("/ui/events?") === 0;
    var s = new EventSource(own && last ? "/ui/events?since=" + encodeURIComponent(last) : url, { withCredentials: true });
    if (own) {
      s.addEventListener("changed", function () { heard = performance.now(); });
      ["changed", "announce", "job", "addon", "plan", "ledger", "log", "engine"].forEach(function (name) { s.addEventListener(name, keep); });
    }
    open.push(s);
    if (document.hidden) rest();
    return s;
  };
  function rest() {
    open.forEach(function (s) {
      if (s.readyState === 2) return; // it has ended
      s.close();
      resting.push(s);
    });
    open = [];
  }
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return rest();
    var woken = resting;
    resting = [];
    waking = true;
    woken.forEach(function (s) { s.onerror(new Event("error")); });
    waking = false;
  });

  // A stream that is lost is told, and when it is back the page is read anew. One that is refused may be that of somebody who was
  // logged out elsewhere: then the page leads to the door.
  var lost = false;
  function offline(on) { document.getElementById("offline").hidden = !on; }
  document.addEventListener("htmx:sseError", function (e) {
    lost = true;
    if (waking) return;
    offline(true);
    var s = e.detail.source;
    if (s && s.readyState === 2) fetch("/ui/", { method: "HEAD", redirect: "manual", credentials: "same-origin", cache: "no-store" }).then(function (r) {
      if (r.type === "opaqueredirect") location.reload();
    }).catch(function () { /* it is away altogether, which is told */ });
  });
  function readAgain() {
    document.querySelectorAll("[hx-trigger*='sse:reset']").forEach(function (part) { htmx.trigger(part, "sse:reset"); });
  }
  document.addEventListener("htmx:sseOpen", function () {
    offline(false);
    if (lost || document.querySelector(".live progress")) readAgain();
    lost = false;
  });
  // So is one that was on its way while the stream told of an end: it shows how things were before.
  document.addEventListener("htmx:beforeRequest", function (e) { e.detail.requestConfig.began = performance.now(); });
  document.addEventListener("htmx:afterSettle", function (e) {
    var by = e.detail.requestConfig;
    if (by && by.boosted && heard > by.began) readAgain();
  });
  document.addEventListener("htmx:sendError", function () { offline(true); });
  document.addEventListener("htmx:afterRequest", function (e) { if (e.detail.successful && !lost) offline(false); });

  // A link or a form exchanges the whole page, also where a part of it that is read anew by itself stands around it. What such a
  // part asked for does not name the page, and comes too late when somebody has gone on since.
  document.addEventListener("htmx:beforeSwap", function (e) {
    var d = e.detail, by = d.requestConfig.elt, shell = document.getElementById("shell");
    if (!d.boosted) {
      d.ignoreTitle = true;
      if (d.requestConfig.verb === "get" && (!by.isConnected || by.getAttribute("hx-get") !== d.requestConfig.path)) d.shouldSwap = false;
    } else if (shell) {
      d.target = shell;
      d.selectOverride = "#shell";
      d.swapOverride = "morph:outerHTML";
    }
  });

  // Buttons that copy a text are there only where a script can do it. On plain HTTP browsers have no clipboard but the old one.
  function showCopy() {
    document.querySelectorAll("button[data-copy][hidden]").forEach(function (b) { b.hidden = false; });
  }
  showCopy();
  document.addEventListener("htmx:afterSettle", showCopy);
  document.addEventListener("click", function (e) {
    var button = e.target.closest("button[data-copy]");
    if (!button) return;
    var from = document.getElementById(button.dataset.copy), word = button.querySelector("span");
    function done() {
      document.getElementById("announce").textContent = word.textContent = button.dataset.copied;
    }
    if (navigator.clipboard) {
      navigator.clipboard.writeText(from.textContent).then(done, select);
    } else {
      select();
      if (document.execCommand("copy")) done();
    }
    function select() { getSelection().selectAllChildren(from); }
  });
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

  // A page without the frame (log in, a fault of the appliance) takes the place of the whole page, not of a part of it.
  document.addEventListener("htmx:beforeSwap", function (e) {
    var d = e.detail, id = d.target && d.target.id;
    if ((id !== "shell" && id !== "main") || d.serverResponse.indexOf('id="shell"') >= 0) return;
    d.shouldSwap = false;
    if (id === "main" && d.xhr.status === 503) return; // the stream's line says so, and it comes back
    var asked = d.requestConfig.verb === "get" ? "" : d.pathInfo.finalRequestPath;
    location.assign(asked && d.xhr.responseURL.indexOf(asked) > 0 ? "/ui/" : d.xhr.responseURL);
  });

  // A page that only says what is the matter looks again by itself, and is left when that is over.
  var wait = parseInt(document.body.getAttribute("data-again"), 10);
  if (wait) setInterval(function () {
    fetch(location.href, { credentials: "same-origin", cache: "no-store" }).then(function (r) { return r.text(); }).then(function (text) {
      if (text.indexOf('id="' + document.querySelector("section.fault").id + '"') < 0) location.reload();
    }).catch(function () { /* it is away altogether: the page stays as it is */ });
  }, wait * 1000);

  // Until now nothing was live: htmx alone would have begun without its extensions, and without the above.
  document.body.removeAttribute("hx-disable");
  htmx.process(document.body);
})();
