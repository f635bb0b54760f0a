package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
)

// settings tell what the configuration in force says. Each key stands here by name, so that no secret is told by accident.
func (h *house) settings(context.Context) (api.Settings, error) {
	h.mu.Lock()
	c := h.cfg
	out := api.Settings{Config: api.ConfigStatus{Path: h.path, Loaded: h.loaded, Error: h.cfgErr}}
	h.mu.Unlock()
	out.Keys = settingsOf(c)
	root, _ := h.roots.current()
	for i, l := range root.Ledgers {
		keys := api.LedgerKeys{Origin: l.Origin}
		if i == 0 {
			keys.Root = root.Version
		}
		for _, k := range l.NoteKeys {
			keys.Fingerprints = append(keys.Fingerprints, noteFingerprint(k))
		}
		out.Ledgers = append(out.Ledgers, keys)
	}
	return out, nil
}

// noteFingerprint is the SHA-256 of a verifier key "name+hash+key", as people compare it.
func noteFingerprint(verifier string) string {
	_, key, _ := strings.Cut(verifier, "+")
	_, key, _ = strings.Cut(key, "+")
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		raw = []byte(verifier) // the root document was checked: it is one
	}
	sum := sha256.Sum256(raw)
	return fmt.Sprintf("%X", sum[:])
}

func settingsOf(c *config.Config) (out []api.Setting) {
	add := func(key string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		out = append(out, api.Setting{Key: key, Values: values})
	}
	yes := strconv.FormatBool
	add("data_dir", c.DataDir)
	add("appliance.id", c.Appliance.ID)
	add("appliance.machine", c.Appliance.Machine)
	add("engine.host", bare(c.Engine.Host))
	for _, host := range slices.Sorted(maps.Keys(c.Registry.Mirrors)) {
		add("registry.mirrors."+host, urls(c.Registry.Mirrors[host])...)
	}
	add("registry.credentials_file", c.Registry.CredentialsFile)
	add("registry.rate_limit", nonZero(c.Registry.RateLimit))
	add("trust.profile", c.Trust.Profile)
	add("trust.poll", c.Trust.Poll.String())
	add("trust.deny", c.Trust.Deny...)
	for _, service := range slices.Sorted(maps.Keys(c.Trust.Map)) {
		add("trust.map."+service, c.Trust.Map[service])
	}
	add("trust.house", c.Trust.House)
	add("channel.name", c.Channel.Name)
	add("channel.urls", urls(c.Channel.URLs)...)
	add("channel.poll", c.Channel.Poll.String())
	for _, s := range c.Services {
		add("services."+s.Name+".update", s.Update)
	}
	add("addons.dir", c.Addons.Dir)
	add("addons.timezone", c.Addons.Timezone)
	add("addons.wait_min_age", c.Addons.WaitMinAge.String())
	b := c.Backup
	add("backup.dir", b.Dir)
	add("backup.before_update", yes(b.BeforeUpdate))
	add("backup.recipient", b.Recipient)
	add("backup.exclude_database", yes(b.ExcludeDatabase))
	add("backup.keep.before_update", strconv.Itoa(*b.Keep.BeforeUpdate))
	add("backup.keep.scheduled", strconv.Itoa(*b.Keep.Scheduled))
	add("backup.schedule.days", b.Schedule.Days...)
	add("backup.schedule.hour", strconv.Itoa(*b.Schedule.Hour))
	add("api.listen", c.API.Listen)
	add("api.tls", c.API.TLS)
	add("api.cert", c.API.Cert)
	add("api.hosts", c.API.Hosts...)
	add("log.level", c.Log.Level)
	add("limits.parallel", strconv.Itoa(c.Limits.Parallel))
	return out
}

// bare is an address without a query, which may be a key; a password in one is refused by config.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "" // config has checked it
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}

func urls(all []string) (out []string) {
	for _, u := range all {
		out = append(out, bare(u))
	}
	return out
}

func nonZero(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
