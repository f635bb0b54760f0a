// A page is read and used without scripts; what makes it live is fetched after its first paint.
"use strict";
(function () {
  var then = document.currentScript.dataset.then.split(" "), begun = false;
  function go() {
    if (begun) return;
    begun = true;
    then.forEach(function (src) {
      var s = document.createElement("script");
      s.async = false; // in this order
      s.src = src;
      document.head.appendChild(s);
    });
  }
  addEventListener("load", function () {
    requestAnimationFrame(function () { setTimeout(go, 0); });
    setTimeout(go, 500); // a tab that nobody sees has no frames
  });
})();
