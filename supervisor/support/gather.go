package support

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
	"github.com/castellan/castellan/trust/audit"
)

// Bounds of a bundle.
const (
	askWithin    = 10 * time.Second // one question to the daemon
	bundleAddons = 200
	bundleLog    = 200
	journalLines = 500
)

// Config says what a bundle is made from.
type Config struct {
	Client  *client.Client                      // of the daemon; one that does not answer is told
	Path    string                              // configuration file, where no daemon names it
	Version string                              // of the program that gathers
	Facts   func(dataDir string) map[string]any // what the host tells
}

// Gather asks the daemon for everything a bundle holds, and the host. What does not answer is named and left out.
func Gather(ctx context.Context, cfg Config) *Bundle {
	c, path := cfg.Client, cfg.Path
	g := &Bundle{Made: time.Now(), version: cfg.Version, ctx: ctx, hide: newRedactor()}
	if name, err := os.Hostname(); err == nil {
		g.hide.hostName(name)
	}
	st, err := within(ctx, c.Status)
	g.Daemon = err == nil
	if g.Daemon && st.Config.Path != "" {
		path = st.Config.Path
	}
	written, unread := readBounded(path)
	shown := g.hide.yaml(string(written))
	data := dataDir(path)
	if b, err := readBounded(filepath.Join(data, "host.token")); err == nil {
		g.hide.know(string(b))
	}
	var infos []api.AddonInfo
	var list api.AddonList
	var listed error
	if g.Daemon { // first, because what options hide may stand in other texts
		if list, listed = within(ctx, func(ctx context.Context) (api.AddonList, error) { return c.Addons(ctx, false) }); listed == nil {
			infos = g.addons(c, list)
		}
	}
	daemon := "not running"
	if v, err := within(ctx, c.Version); err == nil {
		daemon = v.Version
	}
	g.json("version.json", "this program and the daemon", map[string]string{"client": cfg.Version, "daemon": daemon, "go": runtime.Version(),
		"platform": runtime.GOOS + "/" + runtime.GOARCH}, nil)
	g.add("castellan.yaml", "the configuration "+path, []byte(shown), unread)
	if _, err := config.Load(path); err != nil {
		g.add("castellan.yaml.error", "what is wrong with it", []byte(g.hide.text(err.Error())+"\n"), nil)
	}
	g.json("host.json", "the host", cfg.Facts(data), nil)
	if !g.Daemon {
		g.add("status.json", "what runs", nil, err)
		r, err := audit.Verify(filepath.Join(data, "log"))
		out := api.LogReport{OK: err == nil, Records: uint64(r.Records), Head: string(r.Hash)}
		var broken *audit.BrokenError
		if errors.As(err, &broken) {
			out.Error, err = broken.Error(), nil
		}
		g.json("log-verify.json", "whether the verification log on the disk holds together", out, err)
	} else {
		g.json("status.json", "what runs, the ledgers, the channel, the engine", st, nil)
		g.ask(c)
		g.json("addons.json", "the installed add-ons", list, listed)
		for _, a := range infos {
			g.json("addons/"+fileName.ReplaceAllString(a.Slug, "_")+".json", "one add-on, its options masked", a, nil)
		}
	}
	b, err := journalTail(ctx)
	g.add("journal.txt", fmt.Sprintf("the daemon's last %d messages", journalLines), []byte(g.hide.text(string(b))), err)
	return g
}

var fileName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// ask puts the questions whose answers go in as they are.
func (g *Bundle) ask(c *client.Client) {
	put(g, "plan.json", "what would happen to each service", func(ctx context.Context) (api.PlanPreview, error) { return c.Plan(ctx, false) })
	put(g, "decisions.json", "what the owner decided of updates", c.Decisions)
	put(g, "changes.json", "the changes that are remembered", c.Changes)
	put(g, "log.json", "the last records of the verification log", func(ctx context.Context) (api.LogList, error) {
		l, err := c.Log(ctx, api.LogQuery{Last: bundleLog})
		for i := range l.Records {
			l.Records[i].Line = nil // the evidence is long, and the summary says what it is of
		}
		return l, err
	})
	put(g, "verdicts.json", "the last verdicts", func(ctx context.Context) (api.LogList, error) {
		l, err := c.Log(ctx, api.LogQuery{Last: bundleLog, Kinds: []string{"verdict"}})
		for i := range l.Records {
			l.Records[i].Line = nil
		}
		return l, err
	})
	put(g, "log-verify.json", "whether the verification log holds together, and its head", c.VerifyLog)
	put(g, "pins.json", "which publisher each service is bound to", c.Pins)
	put(g, "overrides.json", "what was forced and runs, or may", c.Overrides)
	put(g, "ledgers.json", "the ledgers that are followed, and their mirrors", c.Ledgers)
	put(g, "publishers.json", "whose word counts, and what was withdrawn", c.Publishers)
	put(g, "judged.json", "how each installed image was judged last", c.Judged)
	put(g, "house.json", "what the house key vouched for", c.House)
	put(g, "repositories.json", "the repositories of add-ons", c.Repositories)
}

// addons are the installed add-ons with their options masked; what was masked is hidden everywhere from now on.
func (g *Bundle) addons(c *client.Client, list api.AddonList) (out []api.AddonInfo) {
	for _, a := range list.Addons {
		if len(out) == bundleAddons {
			break
		}
		info, err := within(g.ctx, func(ctx context.Context) (api.AddonInfo, error) { return c.Addon(ctx, a.Slug, "") })
		if err != nil {
			g.add("addons/"+fileName.ReplaceAllString(a.Slug, "_")+".json", "one add-on", nil, err)
			continue
		}
		for _, of := range []*api.AddonOptions{&info.Options, &info.Overrides} {
			shown := api.Masked(*of, info.Schema)
			g.hide.learn("", map[string]any(*of), map[string]any(shown))
			*of = shown
		}
		info.LongDescription, info.Translation = "", nil
		out = append(out, info)
	}
	return out
}

// learn knows the texts that masking took away, and those under a name that looks secret.
func (r *redactor) learn(key string, v, shown any) {
	switch v := v.(type) {
	case map[string]any:
		m, _ := shown.(map[string]any)
		for k, e := range v {
			r.learn(k, e, m[k])
		}
	case []any:
		l, _ := shown.([]any)
		for i, e := range v {
			var s any
			if i < len(l) {
				s = l[i]
			}
			r.learn(key, e, s)
		}
	case string:
		if isSecretKey(key) || shown != any(v) && len(v) >= 8 { // a masked word that is short is most likely a choice
			r.know(v)
		}
	}
}

// put asks one question and keeps the answer.
func put[T any](g *Bundle, name, what string, ask func(context.Context) (T, error)) {
	v, err := within(g.ctx, ask)
	g.json(name, what, v, err)
}

// within asks one question that may not take for ever.
func within[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return ask(ctx)
}

// json keeps v without secrets.
func (g *Bundle) json(name, what string, v any, err error) {
	if err != nil {
		g.add(name, what, nil, err)
		return
	}
	b, err := json.Marshal(v)
	var read any
	if err == nil {
		err = json.Unmarshal(b, &read)
	}
	if err == nil {
		b, err = json.MarshalIndent(g.hide.value("", read), "", "  ")
	}
	g.add(name, what, append(b, '\n'), err)
}
