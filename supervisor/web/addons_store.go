package web

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
)

// perPage is how many cards a page of the store has: a thousand at once would be slow on an old tablet.
const perPage = 48

// storePage is what the store shows.
type storePage struct {
	Find, Show, Repo string
	Counts           map[string]int // by filter
	Groups           []storeGroup
	Repos            []api.Repository
	Shown, Found     int
	Page, Pages      int
	Nothing          bool // there is no add-on at all
}

// Prev and Next are the numbers of the pages beside this one, 0 = none.
func (s storePage) Prev() int { return s.Page - 1 }

// Next is as Prev.
func (s storePage) Next() int {
	if s.Page < s.Pages {
		return s.Page + 1
	}
	return 0
}

// storeGroup is what one repository offers.
type storeGroup struct {
	Slug, Name string
	Trouble    bool
	Cards      []card
}

// card is one add-on in the store.
type card struct {
	api.Addon
	By      string  // its repository's name
	Course  *course // a change that goes on
	Refused *course // the last try of the version that is offered, when it was not let in
	PutOff  *course // and when it could not be checked
	Back    *course // and when it did not work
	Against string  // code of what stands against it, "" = not looked at or nothing
	Consent bool    // the update waits for the owner's word
	Waits   string  // why the update is not there yet
}

// Installed tells whether it is.
func (c card) Installed() bool { return c.Version != "" || c.State == "installing" }

// Bad tells that it must not run as it is.
func (c card) Bad() bool { return badBadges[c.Badge] || c.State == "stuck" || c.Refused != nil }

// Seal is its badge, with what the last try found of an image that is not here, which cannot be told before a try as a rule; and
// "missing" for one that has to be signed and is not: that is no word of the ledger's against it.
func (c card) Seal() string {
	badge, against := c.Badge, c.Against
	if !c.Installed() && c.Refused != nil && badge == "not checked" {
		badge, against = badgeOf(string(trust.Refuse), c.Refused.Reason), c.Refused.Reason
	}
	if badge == "refused" && trust.Reason(against) == trust.SignatureMissing {
		return "missing"
	}
	return badge
}

// Barred tells that the image does not come in, so that nothing offers it.
func (c card) Barred() bool { return badBadges[c.Seal()] }

// Opens tells that it has pages to show.
func (c card) Opens() bool { return c.State == "running" && (c.Ingress || c.WebUI != "") }

// filters of the store, in order.
var filters = []string{"all", "installed", "updates", "verified"}

// Filters are all of them.
func (storePage) Filters() []string { return filters }

// passes tells whether a card is one of a filter's.
func (c card) passes(filter string) bool {
	switch filter {
	case "installed":
		return c.Installed()
	case "updates":
		return c.Update
	case "verified":
		return c.Badge == "verified"
	}
	return true
}

func (v *visit) addonStore() (answer, error) {
	list, err := v.api.Addons(v.ctx(), true)
	if err != nil {
		return answer{}, err
	}
	repos, err := v.api.Repositories(v.ctx())
	if err != nil {
		return answer{}, err
	}
	moves, err := v.moves()
	if err != nil {
		return answer{}, err
	}
	out := storePage{Find: strings.TrimSpace(v.query("q")), Show: cmp.Or(v.query("show"), "all"), Repo: v.query("repo"), Repos: repos.Repositories, Counts: map[string]int{}}
	if !slices.Contains(filters, out.Show) {
		out.Show = "all"
	}
	named, broken := map[string]string{}, map[string]bool{}
	for _, r := range repos.Repositories {
		named[r.Slug], broken[r.Slug] = cmp.Or(r.Name, r.Slug), r.Trouble != ""
	}
	var found []card
	words := searchWords(out.Find)
	for _, a := range list.Addons {
		c := v.card(a, cmp.Or(named[a.Repository], a.Repository), moves)
		for _, f := range filters {
			if c.passes(f) {
				out.Counts[f]++
			}
		}
		if c.passes(out.Show) && (out.Repo == "" || out.Repo == a.Repository) && c.matches(words) {
			found = append(found, c)
		}
	}
	first := out.Show == "all" && out.Find == "" && out.Repo == "" // what is installed stands above what could be
	slices.SortStableFunc(found, func(a, b card) int {
		if first && a.Installed() != b.Installed() {
			return map[bool]int{true: -1, false: 1}[a.Installed()]
		}
		if first && a.Installed() {
			return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		}
		return cmp.Or(strings.Compare(strings.ToLower(a.By), strings.ToLower(b.By)), strings.Compare(a.Repository, b.Repository), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	out.Nothing, out.Found = len(list.Addons) == 0, len(found)
	out.Pages = max(1, (len(found)+perPage-1)/perPage)
	n, err := strconv.Atoi(v.query("page"))
	if err != nil {
		n = 1
	}
	out.Page = min(max(n, 1), out.Pages)
	found = found[(out.Page-1)*perPage:]
	for _, c := range found[:min(perPage, len(found))] {
		group := storeGroup{Slug: c.Repository, Name: c.By, Trouble: broken[c.Repository]}
		if first && c.Installed() {
			group = storeGroup{Name: v.say("addons.show_installed")}
		}
		if len(out.Groups) == 0 || out.Groups[len(out.Groups)-1].Slug != group.Slug {
			out.Groups = append(out.Groups, group)
		}
		g := &out.Groups[len(out.Groups)-1]
		g.Cards = append(g.Cards, c)
		out.Shown++
	}
	return show("addons", out)
}

// moves are the changes of add-ons that go on, and the newest of each, by slug.
type moves struct{ open, newest map[string]*course }

func (v *visit) moves() (moves, error) {
	list, err := v.api.Changes(v.ctx())
	out := moves{map[string]*course{}, map[string]*course{}}
	for _, c := range list.Changes {
		if c.Slug == "" {
			continue
		}
		one := v.course(c)
		if !c.Done && out.open[c.Slug] == nil {
			out.open[c.Slug] = &one
		}
		if out.newest[c.Slug] == nil {
			out.newest[c.Slug] = &one
		}
	}
	return out, err
}

// card is an add-on as the store shows it.
func (v *visit) card(a api.Addon, by string, m moves) card {
	v.learn(a.Slug, a.Name) // names of courses need not be asked for again
	out := card{Addon: a, By: by, Course: m.open[a.Slug], Consent: a.Waiting != nil && a.Waiting.Code == "consent"}
	if a.Waiting != nil {
		out.Waits = v.waits(*a.Waiting, a.Name)
	}
	if last := m.newest[a.Slug]; last != nil && last.To == a.VersionLatest && last.To != a.Version {
		switch last.State {
		case "refused":
			out.Refused = last
		case "deferred":
			out.PutOff = last
		case "rolled-back":
			out.Back = last
		}
	}
	return out
}

// everyAddon are words that any add-on answers to: Home Assistant calls them apps now.
var everyAddon = []string{"app", "apps", "add-on", "add-ons", "addon", "addons"}

// searchWords are the words somebody looks for.
func searchWords(text string) []string {
	if len(text) > 200 {
		text = text[:200]
	}
	return slices.DeleteFunc(strings.Fields(strings.ToLower(text)), func(w string) bool { return slices.Contains(everyAddon, w) })
}

// matches tells whether all words are in what is known of an add-on.
func (c card) matches(words []string) bool {
	if len(words) == 0 {
		return true
	}
	in := strings.ToLower(c.Name + "\n" + c.Description + "\n" + c.Slug + "\n" + c.By + "\n" + c.Repository)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(in, w) })
}

// marks are icons for add-ons that bring none, by what their names say. The first that fits counts.
var marks = []struct{ icon, words string }{
	{"radio", "zigbee zwave z-wave matter thread otbr enocean rfxtrx 433 lora deconz conbee"},
	{"message-square", "mqtt mosquitto matrix signal telegram chat emqx broker"},
	{"terminal", "ssh terminal shell vscode studio code-server editor"},
	{"workflow", "node-red nodered appdaemon automation n8n"},
	{"camera", "camera frigate motion go2rtc video doods"},
	{"music", "music spotify snapcast plex jellyfin radio sound audio whisper piper speech wake"},
	{"lock", "wireguard vpn tailscale zerotier vault password bitwarden cert encrypt"},
	{"globe", "dns nginx proxy caddy traefik cloudflare ddns web http adguard pi-hole pihole"},
	{"database", "influx maria postgres database db grafana sqlite prometheus victoria timescale"},
	{"cpu", "esphome tasmota firmware esp"},
	{"hard-drive", "samba backup share nas nextcloud sync storage drive"},
	{"thermometer", "weather climate heat thermo temperature"},
	{"zap", "energy power solar evcc inverter electric"},
	{"wifi", "wifi unifi network omada ping router"},
	{"git-branch", "git"},
	{"usb", "usb serial"},
	{"file-text", "file paper document log"},
}

// Mark is the icon of one that brings none.
func (c card) Mark() string { return markOf(c.Slug + " " + c.Name) }

// markOf is the icon of an add-on that brings none.
func markOf(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return c == ' ' || c == '_' })
	for _, m := range marks {
		for known := range strings.FieldsSeq(m.words) {
			if slices.ContainsFunc(words, func(w string) bool { return w == known || len(known) > 3 && strings.Contains(w, known) }) {
				return m.icon
			}
		}
	}
	return "box"
}
