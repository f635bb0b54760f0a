package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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

// gather asks the daemon for everything a bundle holds, and the host. What does not answer is named and left out.
func gather(ctx context.Context, c *client.Client, path string) *gathered {
	g := &gathered{ctx: ctx, hide: newRedactor()}
	if name, err := os.Hostname(); err == nil {
		g.hide.hostName(name)
	}
	st, err := within(ctx, c.Status)
	g.daemon = err == nil
	if g.daemon && st.Config.Path != "" {
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
	if g.daemon { // first, because what options hide may stand in other texts
		if list, listed = within(ctx, func(ctx context.Context) (api.AddonList, error) { return c.Addons(ctx, false) }); listed == nil {
			infos = g.addons(c, list)
		}
	}
	daemon := "not running"
	if v, err := within(ctx, c.Version); err == nil {
		daemon = v.Version
	}
	g.json("version.json", "this program and the daemon", map[string]string{"client": version, "daemon": daemon, "go": runtime.Version(),
		"platform": runtime.GOOS + "/" + runtime.GOARCH}, nil)
	g.add("castellan.yaml", "the configuration "+path, []byte(shown), unread)
	if _, err := config.Load(path); err != nil {
		g.add("castellan.yaml.error", "what is wrong with it", []byte(g.hide.text(err.Error())+"\n"), nil)
	}
	g.json("host.json", "the host", hostFacts(data), nil)
	if !g.daemon {
		g.add("status.json", "what runs", nil, err)
		r, err := logReport(audit.Verify(filepath.Join(data, "log")))
		g.json("log-verify.json", "whether the verification log on the disk holds together", r, err)
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
func (g *gathered) ask(c *client.Client) {
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
func (g *gathered) addons(c *client.Client, list api.AddonList) (out []api.AddonInfo) {
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
func put[T any](g *gathered, name, what string, ask func(context.Context) (T, error)) {
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
func (g *gathered) json(name, what string, v any, err error) {
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

// dataDir is the data folder that the file at path names, or the default one.
func dataDir(path string) string {
	if cfg, err := config.Load(path); err == nil {
		return cfg.DataDir
	}
	return "/var/lib/castellan"
}

// hostFacts are what the kernel tells of the host, and of the disk below dir.
func hostFacts(dir string) map[string]any {
	out := map[string]any{"cpus": runtime.NumCPU(), "os": osName("/etc/os-release"), "memory_total": kilobytes("/proc/meminfo", "MemTotal:"),
		"memory_available": kilobytes("/proc/meminfo", "MemAvailable:")}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		out["kernel"] = unix.ByteSliceToString(uts.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		out["uptime_seconds"] = int64(info.Uptime)
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		out["disk_total"], out["disk_free"] = int64(fs.Blocks)*int64(fs.Bsize), int64(fs.Bavail)*int64(fs.Bsize)
	}
	return out
}

// journalTail is the end of the daemon's messages, where journald keeps them.
func journalTail(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--unit=castellan", fmt.Sprint("--lines=", journalLines), "--no-pager", "--output=short-iso", "--quiet")
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot ask journald: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(out, maxPart))
	if _, more := io.Copy(io.Discard, out); err == nil {
		err = more
	}
	if end := cmd.Wait(); err == nil {
		err = end
	}
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = fmt.Errorf("journald has no messages of castellan")
	}
	return b, err
}
