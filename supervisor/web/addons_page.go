package web

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// addonPage is what every tab of an add-on's page shows.
type addonPage struct {
	Card card
	Info api.AddonInfo
	Tab  string
	Mode string // of its updates: off, ask, auto, hold
	URL  string // that its manifest gives of its own pages, "" = none
	Status
	Reach    reach
	Obstacle *obstacle // why the version that is offered, or the one that is here, is not good

	Form      *optionsForm
	YAML      *yamlForm
	Typed     map[string]string // ports that were typed and are wrong
	PortError string

	Proof   *proof
	History []course
	Log     string
	Follow  bool
	Docs    []mdBlock
	None    bool // the file of this tab is not there
	Backups []api.BackupItem
	Stats   *api.AddonStats
	Fault   *fault // of the part that a tab is about
}

// Status is what the house's status says of the add-on.
type Status struct{ Row api.ServiceStatus }

// addonTabs are the tabs of an installed add-on by the ends of their addresses.
var addonTabs = []string{"", "log", "changes", "docs", "backups"}

// Tabs are those there is something to see in.
func (p addonPage) Tabs() []string {
	return slices.DeleteFunc(slices.Clone(addonTabs), func(t string) bool {
		return t == "docs" && !p.Info.Documentation || t == "log" && !p.Card.Installed() || t == "backups" && !p.Card.Installed()
	})
}

// Home is the page's first address.
func (p addonPage) Home() string { return "/ui/addons/" + p.Info.Slug }

// At is the address of a tab.
func (p addonPage) At(tab string) string {
	if tab == "" {
		return p.Home()
	}
	return p.Home() + "/" + tab
}

// Port is what stands in the field of a port.
func (p addonPage) Port(one api.AddonPort) string {
	if text, ok := p.Typed[one.Container]; ok {
		return text
	}
	return portText(one.Host)
}

// aboutAddon reads what every tab shows.
func (v *visit) aboutAddon(info api.AddonInfo, tab string) (*addonPage, error) {
	m, err := v.moves()
	if err != nil {
		return nil, err
	}
	p := &addonPage{Info: info, Tab: tab}
	p.Card = v.card(info.Addon, v.repositoryName(info.Repository), m)
	p.Card.Against = info.Reason
	p.Obstacle = v.obstacle(p.Card, info)
	if s, err := v.status(); err == nil { // the frame of the page says when it is not known
		for _, row := range s.Services {
			if row.Slug == info.Slug {
				p.Row, p.Mode = row, row.Mode
			}
		}
	}
	rights := info.Granted
	if !p.Card.Installed() {
		rights = info.Asks
	}
	p.Reach = v.reach(rights)
	p.URL = webURL(info, v.r.Host)
	return p, nil
}

// repositoryName is what people call a repository.
func (v *visit) repositoryName(slug string) string {
	list, err := v.api.Repositories(v.ctx())
	if err != nil {
		return slug // it serves
	}
	for _, r := range list.Repositories {
		if r.Slug == slug {
			return cmp.Or(r.Name, slug)
		}
	}
	return slug
}

// tab shows a tab after fill has put in what it is about.
func (v *visit) tab(tab string, fill func(*addonPage) error) (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	p, err := v.aboutAddon(info, tab)
	if err == nil {
		err = fill(p)
	}
	return answer{view: "addon", data: p}, err
}

// addon is the first tab: the settings, or for one that is not installed what its author says of it.
func (v *visit) addon() (answer, error) {
	info, err := v.api.Addon(v.ctx(), v.slug(), v.lang)
	if err != nil {
		return answer{}, err
	}
	a, err := v.showAddon(info, nil)
	a.status = 0
	if p, ok := a.data.(*addonPage); ok {
		v.wholeWhen(v.query("here") != "" && v.query("here") != strconv.FormatBool(p.Card.Installed()))
	}
	return a, err
}

// wholeWhen has a browser that reads a part of a page anew take all of it, when the rest has become wrong too: the settings of
// an add-on that was removed, or those of one that came (https://htmx.org/reference/#response_headers).
func (v *visit) wholeWhen(changed bool) {
	if !changed {
		return
	}
	h := v.w.Header()
	h.Set("HX-Retarget", "#main")
	h.Set("HX-Reselect", "#main")
	h.Set("HX-Reswap", "morph:outerHTML")
}

// showAddon shows the first tab; change makes of it the answer to a form that was wrong.
func (v *visit) showAddon(info api.AddonInfo, change func(*addonPage)) (answer, error) {
	p, err := v.aboutAddon(info, "")
	if err != nil {
		return answer{}, err
	}
	if p.Card.Installed() && info.Schema != nil {
		p.Form = v.optionsForm(info)
	}
	p.Docs = markdown(info.LongDescription, 2)
	if info.Verdict > 0 {
		p.Proof = v.proof(info)
	}
	if change != nil {
		change(p)
	}
	return answer{view: "addon", data: p, status: http.StatusUnprocessableEntity}, nil
}

// webURL fills in an address as manifests write it: http://[HOST]:[PORT:80]/path, with the port that the owner set. It is
// none when that is not published, or when it is anything but a page.
func webURL(info api.AddonInfo, host string) string {
	text := info.WebUI
	if text == "" || info.Ingress {
		return ""
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	for strings.Contains(text, "[PROTO:") {
		before, rest, _ := strings.Cut(text, "[PROTO:")
		option, after, found := strings.Cut(rest, "]")
		if !found {
			return ""
		}
		scheme := "http"
		if on, _ := info.Options[option].(bool); on {
			scheme = "https"
		}
		text = before + scheme + after
	}
	for strings.Contains(text, "[PORT:") {
		before, rest, _ := strings.Cut(text, "[PORT:")
		port, after, found := strings.Cut(rest, "]")
		if !found {
			return ""
		}
		for _, p := range info.Ports {
			if p.Container == port+"/tcp" && p.Host != nil {
				port = portText(p.Host)
			} else if p.Container == port+"/tcp" && !info.HostNetwork {
				return ""
			}
		}
		text = before + port + after
	}
	u, err := url.Parse(strings.ReplaceAll(text, "[HOST]", host))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}

// addonStats is what a running add-on uses; asking takes a second, so it is a part of its own.
func (v *visit) addonStats() (answer, error) {
	s, err := v.api.AddonStats(v.ctx(), v.slug())
	if err != nil {
		f := v.fail(err)
		return show("addon_stats", addonPage{Info: api.AddonInfo{Addon: api.Addon{Slug: v.slug()}}, Fault: &f})
	}
	return show("addon_stats", addonPage{Info: api.AddonInfo{Addon: api.Addon{Slug: v.slug()}}, Stats: &s})
}

// portText is a port as it stands in a field, "" = none.
func portText(port *uint16) string {
	if port == nil {
		return ""
	}
	return strconv.Itoa(int(*port))
}
