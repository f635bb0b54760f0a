package web

import (
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// helpScreens tell more about a code. They need neither the network nor anything that may be broken, and are there for those
// too who can't log in.
var helpScreens = []screen{
	{"GET", "/ui/help", api.Nobody, (*visit).help},
	{"GET", "/ui/help/{code}", api.Nobody, (*visit).helpCode},
}

// helpRooms are where the texts of codes stand: verdict reasons, why updates do not move and how changes end, and the API's
// error keys. A code that two of them have is told by the first. What takes the whole house is told by the room "down".
var helpRooms = []string{"help_trust", "help_plan", "help_error"}

// helpPage is what there is to know about a code.
type helpPage struct {
	Code   string
	Title  string
	What   string
	Danger string
	Self   string
	You    string
	Badge  string // of an image that this is said of, "" = none
	Force  string // no, yes, typed; "" = it is not about an image
}

// helpAbout finds the texts about a code.
func (v *visit) helpAbout(code string) (helpPage, bool) {
	w := v.ui.in(v.lang)
	for _, room := range helpRooms {
		at := room + "." + code
		if _, ok := w.words[at+".title"]; !ok {
			continue
		}
		out := helpPage{Code: code, Title: w.text(at + ".title"), What: w.text(at + ".what"), You: w.text(at + ".you"),
			Danger: w.known(at+".danger", w.text(room+".danger")), Self: w.known(at+".self", w.text(room+".self"))}
		if r := trust.Reason(code); room == "help_trust" && r.Known() {
			out.Badge, out.Force = reasonBadge(r), forceWord(r.Meaning().Force)
		}
		return out, true
	}
	if title := w.known("down."+code+".title", ""); title != "" && codeShape.MatchString(code) {
		at := "down." + code
		you := strings.TrimSpace(w.text(at+".next") + " " + w.known(at+".run", ""))
		return helpPage{Code: code, Title: title, What: w.text(at+".what", v.ui.cfg.Host), You: you, Danger: w.text("down.danger"), Self: w.text(at + ".still")}, true
	}
	return helpPage{}, false
}

// reasonBadge is the badge of an image that a reason stands against, "" for a mere remark.
func reasonBadge(r trust.Reason) string {
	if r == trust.SignatureMissing {
		return "missing"
	}
	if o := r.Meaning().Outcome; o != "" {
		return badgeOf(string(o), string(r))
	}
	return ""
}

// forceWord names a degree of force, as texts and the API do.
func forceWord(f trust.Force) string {
	switch f {
	case trust.ForceYes:
		return "yes"
	case trust.ForceTyped:
		return "typed"
	}
	return "no"
}

// helpGroup is a heading of the index with its codes.
type helpGroup struct {
	Name  string // a key of the catalogue
	Codes []helpPage
}

// helpIndex is what the first page of help shows.
type helpIndex struct {
	Find   string
	Groups []helpGroup
}

// help is the index, all of it or what speaks of a text.
func (v *visit) help() (answer, error) {
	_, _ = v.enter() // who is logged in keeps his menu
	find := cut(strings.TrimSpace(v.query("q")), 100)
	groups := []helpGroup{{Name: "help.group_refused"}, {Name: "help.group_deferred"}, {Name: "help.group_remark"}, {Name: "help.group_plan"}, {Name: "help.group_error"}}
	add := func(group int, code string) {
		p, ok := v.helpAbout(code)
		all := strings.ToLower(strings.Join([]string{p.Code, p.Title, p.What, p.You}, " "))
		if ok && strings.Contains(all, strings.ToLower(find)) {
			groups[group].Codes = append(groups[group].Codes, p)
		}
	}
	at := map[trust.Outcome]int{trust.Refuse: 0, trust.Defer: 1, "": 2}
	for _, m := range trust.Reasons() {
		add(at[m.Outcome], string(m.Reason))
	}
	for i, room := range helpRooms[1:] {
		for _, code := range v.ui.in(v.lang).codes(room) {
			add(3+i, code)
		}
		codes := groups[3+i].Codes
		sort.Slice(codes, func(a, b int) bool { return codes[a].Title < codes[b].Title })
	}
	groups = slices.DeleteFunc(groups, func(g helpGroup) bool { return len(g.Codes) == 0 })
	return show("help", helpIndex{Find: find, Groups: groups})
}

// codes are those that a room of the catalogue has a page for.
func (w *views) codes(room string) []string {
	var out []string
	for key := range w.words {
		if code, ok := strings.CutPrefix(key, room+"."); ok {
			if code, ok = strings.CutSuffix(code, ".title"); ok {
				out = append(out, code)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (v *visit) helpCode() (answer, error) {
	_, _ = v.enter() // as above
	code := v.r.PathValue("code")
	if p, ok := v.helpAbout(code); ok && codeShape.MatchString(code) {
		return show("help_code", p)
	}
	return answer{view: "help_unknown", data: cut(code, 60), status: http.StatusNotFound}, nil
}

// cut shortens a text to that many letters.
func cut(s string, letters int) string {
	if r := []rune(s); len(r) > letters {
		return string(r[:letters]) + "…"
	}
	return s
}
