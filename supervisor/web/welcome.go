package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// welcomeScreens are the first run after the door: each step can be left, and taken up again from the settings or from the
// line that the other pages show until it is over.
var welcomeScreens = []screen{
	{"GET", "/ui/welcome", api.Viewer, func(*visit) (answer, error) { return seeOther("/ui/welcome/2"), nil }},
	{"GET", "/ui/welcome/2", api.Viewer, (*visit).welcomeChecks},
	{"GET", "/ui/welcome/3", api.Viewer, (*visit).welcomeTrust},
	{"GET", "/ui/welcome/4", api.Viewer, (*visit).welcomeUpdates},
	{"POST", "/ui/welcome/4", api.Admin, (*visit).postWelcomeUpdates},
	{"POST", "/ui/welcome/end", api.Viewer, (*visit).postWelcomeEnd},
}

// welcome is a step of the first run.
type welcome struct {
	Checks  []checked
	Bad     int // of them
	Keys    []api.LedgerKeys
	Ledger  api.LedgerStatus
	Profile string
	Place   api.BackupPlace
	Days    []string
	Auto    bool // updates come by themselves
	Windows []api.Window
	File    string
	Typed   typed
}

// checked is something that was looked at: how it is, and what mends it.
type checked struct {
	Name string // of the catalogue: docker, storage, clock, network, ledger, issues
	Tone string // ok, warn, bad
	Word string // of the sentence
	Args []any
	Said string // the daemon's own words
	Run  string // a command that helps
}

// takeUp keeps on this device which step is next; step 0 forgets it.
func (v *visit) takeUp(step int) {
	c := &http.Cookie{Name: "welcome", Value: strconv.Itoa(step), Path: "/ui/", MaxAge: 30 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if step == 0 {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(v.w, c)
}

// Welcome is the step of the first run that waits to be taken up again, "" = none.
func (p page) Welcome() string {
	c, err := p.v.r.Cookie("welcome")
	if err != nil || !slices.Contains([]string{"2", "3", "4"}, c.Value) || !p.v.may("admin") || strings.HasPrefix(p.v.r.URL.Path, "/ui/welcome") {
		return ""
	}
	return c.Value
}

func (v *visit) welcomeChecks() (answer, error) {
	st, err := v.status()
	if err != nil {
		return answer{}, err
	}
	out := welcome{Ledger: st.Ledger}
	host, hostErr := v.api.Host(v.ctx())
	net, netErr := v.api.Network(v.ctx())
	out.Checks = []checked{dockerCheck(st), storageCheck(host, hostErr), clockCheck(host, hostErr), networkCheck(st, net, netErr), ledgerCheck(st)}
	if r, err := v.api.Resolution(v.ctx()); err == nil && len(r.Issues) > 0 {
		out.Checks = append(out.Checks, checked{Name: "issues", Tone: "warn", Word: "issues", Args: []any{len(r.Issues)}})
	}
	for _, c := range out.Checks {
		if c.Tone != "ok" {
			out.Bad++
		}
	}
	v.takeUp(2)
	return show("welcome2", out)
}

func dockerCheck(st api.Status) checked {
	if st.Engine.Error != "" {
		return checked{Name: "docker", Tone: "bad", Word: "docker_away", Said: st.Engine.Error, Run: "sudo systemctl restart docker"}
	}
	return checked{Name: "docker", Tone: "ok", Word: "docker_ok", Args: []any{st.Engine.Version}}
}

// leastFree is how much room an update of Home Assistant takes on its way: less is told.
const leastFree = gibibytes(5)

func storageCheck(h api.HostInfo, err error) checked {
	switch {
	case err != nil:
		return checked{Name: "storage", Tone: "warn", Word: "unknown", Said: err.Error()}
	case gibibytes(h.DiskFree) < leastFree:
		return checked{Name: "storage", Tone: "bad", Word: "storage_small", Args: []any{gibibytes(h.DiskFree), gibibytes(h.DiskTotal), leastFree}, Run: "du -xh / | sort -h | tail -20"}
	}
	return checked{Name: "storage", Tone: "ok", Word: "storage_ok", Args: []any{gibibytes(h.DiskFree), gibibytes(h.DiskTotal)}}
}

func clockCheck(h api.HostInfo, err error) checked {
	switch {
	case err != nil || h.Synchronized == nil || h.Now == nil:
		return checked{Name: "clock", Tone: "warn", Word: "unknown"}
	case !*h.Synchronized:
		return checked{Name: "clock", Tone: "warn", Word: "clock_off", Args: []any{*h.Now}, Run: "sudo timedatectl set-ntp true"}
	}
	return checked{Name: "clock", Tone: "ok", Word: "clock_ok", Args: []any{*h.Now}}
}

func networkCheck(st api.Status, n api.NetworkInfo, err error) checked {
	switch {
	case err != nil:
		return checked{Name: "network", Tone: "warn", Word: "unknown", Said: err.Error()}
	case st.Channel.Error != "":
		return checked{Name: "network", Tone: "warn", Word: "network_channel", Said: st.Channel.Error}
	case !n.SupervisorInternet:
		return checked{Name: "network", Tone: "warn", Word: "network_some", Said: st.Ledger.Error}
	}
	return checked{Name: "network", Tone: "ok", Word: "network_ok"}
}

func ledgerCheck(st api.Status) checked {
	c := checked{Name: "ledger", Tone: "ok", Word: "ledger_ok", Args: []any{st.Ledger.Count}, Said: st.Ledger.Error}
	switch st.Ledger.State {
	case "fresh":
	case "empty":
		c.Tone, c.Word, c.Args = "warn", "ledger_empty", nil
	case "quarantined", "unreadable":
		c.Tone, c.Word, c.Args = "bad", "ledger_bad", nil
	default:
		c.Tone, c.Word, c.Args = "warn", "ledger_old", []any{st.Ledger.Time}
	}
	return c
}

func (v *visit) welcomeTrust() (answer, error) {
	st, err := v.status()
	if err != nil {
		return answer{}, err
	}
	set, err := v.api.Settings(v.ctx())
	if err != nil {
		return answer{}, err
	}
	out := welcome{Keys: set.Ledgers, Ledger: st.Ledger, File: set.Config.Path, Profile: "default"}
	for _, k := range set.Keys {
		if k.Key == "trust.profile" && slices.Contains(k.Values, "strict") {
			out.Profile = "strict"
		}
	}
	v.takeUp(3)
	return show("welcome3", out)
}

// welcomeNow is what the last step shows.
func (v *visit) welcomeNow() (welcome, error) {
	out := welcome{Auto: true}
	decided, err := v.api.Decisions(v.ctx())
	if err != nil {
		return out, err
	}
	for _, s := range decided.Services {
		if s.Decided != nil && s.Mode == "ask" {
			out.Auto = false
		}
	}
	out.Windows = decided.Windows
	room, err := v.api.BackupRoom(v.ctx())
	if err != nil {
		return out, err
	}
	out.Place = room.Place
	out.Days = v.dayNames(out.Place.Days)
	st, err := v.status()
	out.File = st.Config.Path
	return out, err
}

func (v *visit) welcomeUpdates() (answer, error) {
	out, err := v.welcomeNow()
	if err != nil {
		return answer{}, err
	}
	v.takeUp(4)
	return show("welcome4", out)
}

// night is the window of who wants updates at night and has none.
var night = api.WindowRequest{From: "01:00", To: "05:00"}

// backupsEvery are the schedules that the first run offers; any other word leaves it as it is.
var backupsEvery = map[string]api.BackupTimes{
	"night": {Days: weekdays, Hour: 3},
	"week":  {Days: []string{"sun"}, Hour: 3},
	"never": {},
}

// postWelcomeUpdates sets how updates come: a mode for everything, and with "auto" a window at night where there is none.
func (v *visit) postWelcomeUpdates() (answer, error) {
	mode := v.form("mode")
	err := v.setModes(mode)
	if err == nil && mode == "auto" {
		var decided api.DecisionList
		if decided, err = v.api.Decisions(v.ctx()); err == nil && len(decided.Windows) == 0 {
			_, err = v.api.AddWindow(v.ctx(), night)
		}
	}
	if q, ok := backupsEvery[v.form("every")]; err == nil && ok {
		_, err = v.api.SetBackupSchedule(v.ctx(), q)
	}
	if err != nil {
		out, other := v.welcomeNow()
		if other != nil {
			return answer{}, err
		}
		out.Typed = v.wrong("updates", err)
		return shownAgain("welcome4", out)
	}
	v.takeUp(0)
	return v.done("/ui/", "welcome.done")
}

func (v *visit) postWelcomeEnd() (answer, error) {
	v.takeUp(0)
	return v.done("/ui/", "welcome.left")
}
