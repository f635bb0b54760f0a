package browser

// small finds what is to be pressed with a finger and is less than 40 px high or wide. A link in a text is as high as its line
// (WCAG 2.2, 2.5.8, which is content with 24 px); what is ticked, and where a file is chosen, may be pressed on its label.
const small = `Array.from(document.querySelectorAll("button, select, summary, textarea, input, a.btn, nav a, .chips a, .rowlink")).map(function (e) {
	if (!e.getClientRects().length || getComputedStyle(e).visibility === "hidden" || e.matches("[type=hidden], .sr, .link, .skip")) return "";
	var on = [e];
	if (e.matches("[type=checkbox], [type=radio], [type=file]")) on = on.concat(Array.from(e.labels));
	var boxes = on.map(function (e) { return e.getBoundingClientRect() });
	if (boxes.some(function (b) { return b.height >= 39.5 && b.width >= 39.5 })) return "";
	return Math.round(boxes[0].width) + "x" + Math.round(boxes[0].height) + " " + e.outerHTML.slice(0, 160);
}).filter(String)`

// Small is what is hard to hit with a finger.
func (b *Tab) Small() []string {
	b.t.Helper()
	return Eval[[]string](b, small)
}
