package habackup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// Meta is what an owner had decided about an add-on, and what it was doing.
type Meta struct {
	Version    string
	Options    map[string]any // only what the owner had set; numbers are int64, or float64 with a fraction
	Boot       string         // auto manual; "" = the add-on's own
	AutoUpdate bool
	Watchdog   bool
	Ports      map[string]*uint16 // as "80/tcp" -> host port or nil; nil = the add-on's own
	Protected  bool               // protected mode was on
	State      string             // started stopped unknown error

	Image  string          // repository it was run from, may hold {arch}; "" = built there
	System json.RawMessage // its config.yaml of that version, as JSON
}

var portPattern = regexp.MustCompile(`^[0-9]{1,5}(/(tcp|udp))?$`)

// maxMeta bounds addon.json, which holds options and the whole manifest.
const maxMeta = 8 << 20

// Addon reads an add-on's settings.
func (b *Backup) Addon(slug string) (Meta, error) {
	data, err := b.meta(slug)
	if err != nil {
		return Meta{}, fmt.Errorf("cannot read add-on %.140q in the backup: %w", slug, err)
	}
	m, err := parseMeta(data)
	if err != nil {
		return Meta{}, fmt.Errorf("cannot understand addon.json of %.140q in the backup: %w", slug, shown(err))
	}
	return m, nil
}

func (b *Backup) meta(slug string) ([]byte, error) {
	r, err := b.members(context.Background(), slug, maxBytes)
	if err != nil {
		return nil, err
	}
	for {
		h, name, err := r.next()
		if err == io.EOF {
			return nil, errors.New("its archive holds no addon.json")
		}
		if err != nil {
			return nil, err
		}
		if name != "addon.json" {
			continue
		}
		if h.Size > maxMeta {
			return nil, fmt.Errorf("its addon.json has %d bytes, more than %d", h.Size, maxMeta)
		}
		return io.ReadAll(r.tar)
	}
}

func parseMeta(data []byte) (Meta, error) {
	var raw struct {
		User struct {
			Version    text                    `json:"version"`
			Image      string                  `json:"image"`
			Options    json.RawMessage         `json:"options"`
			Boot       string                  `json:"boot"`
			AutoUpdate bool                    `json:"auto_update"`
			Watchdog   bool                    `json:"watchdog"`
			Network    map[string]*json.Number `json:"network"`
			Protected  *bool                   `json:"protected"`
		} `json:"user"`
		System  json.RawMessage `json:"system"`
		Version text            `json:"version"`
		State   text            `json:"state"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return Meta{}, err
	}
	u := raw.User
	m := Meta{
		Version: string(raw.Version), Boot: u.Boot, AutoUpdate: u.AutoUpdate, Watchdog: u.Watchdog,
		Protected: u.Protected == nil || *u.Protected, State: string(raw.State), Image: plain(u.Image), System: raw.System,
	}
	if m.Version == "" {
		m.Version = string(u.Version)
	}
	if !slices.Contains([]string{"", "auto", "manual"}, m.Boot) {
		return Meta{}, fmt.Errorf("user.boot: %.40q: want auto or manual", m.Boot)
	}
	if len(u.Options) > 0 {
		d := json.NewDecoder(bytes.NewReader(u.Options))
		d.UseNumber()
		var options map[string]any
		if err := d.Decode(&options); err != nil {
			return Meta{}, fmt.Errorf("user.options: %w", err)
		}
		if options != nil {
			m.Options = numbers(options).(map[string]any)
		}
	}
	for key, n := range u.Network {
		if !portPattern.MatchString(key) {
			return Meta{}, fmt.Errorf(`user.network: %.40q: want a port as "80/tcp"`, key)
		}
		if m.Ports == nil {
			m.Ports = map[string]*uint16{}
		}
		m.Ports[key] = nil
		if n == nil {
			continue
		}
		port, err := strconv.ParseUint(n.String(), 10, 16)
		if err != nil || port == 0 {
			return Meta{}, fmt.Errorf("user.network.%s: %.40q: want 1 to 65535 or null", key, n.String())
		}
		p := uint16(port)
		m.Ports[key] = &p
	}
	return m, nil
}

// numbers makes Go's numbers of JSON's, keeping whole ones whole.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // out of every range: the schema will say so
		}
		return f
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}
