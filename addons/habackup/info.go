package habackup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Limits on what backup.json says.
const (
	maxList = 1000
	maxText = 256
)

// Info is what a backup says of itself. Texts are cut at 256 bytes and hold no control characters.
type Info struct {
	Slug          string // 8 hex digits
	Name          string
	Date          string // as written, mostly RFC 3339
	Type          string // full partial
	Protected     bool   // encrypted: only this listing can be read
	HomeAssistant string // version of Home Assistant Core whose configuration is in it, "" = none
	Addons        []Addon
	Folders       []string // share addons/local ssl media; in version 1 also homeassistant
	Repositories  []string // URLs of the add-on repositories that were known

	version int
}

// Addon is an add-on in a backup.
type Addon struct {
	Slug    string // full: repository's and add-on's
	Name    string
	Version string
	Size    int64 // bytes in the backup, compressed; 0 when its archive is missing
}

// slugPattern is fit for a file's name.
var slugPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

var folders = []string{"share", "addons/local", "ssl", "media", "homeassistant"}

// text takes numbers for texts: a version 1.10 may have been written as one.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		var n json.Number
		if err := json.Unmarshal(data, &n); err != nil {
			return fmt.Errorf("want a text, got %.40q", data)
		}
		*t = text(n)
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*t = text(plain(s))
	return nil
}

// plain makes a foreign text fit to be shown.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

func parseInfo(data []byte) (Info, error) {
	var raw struct {
		Version       int             `json:"version"`
		Slug          text            `json:"slug"`
		Name          text            `json:"name"`
		Date          text            `json:"date"`
		Type          text            `json:"type"`
		Protected     bool            `json:"protected"`
		Crypto        text            `json:"crypto"`
		HomeAssistant json.RawMessage `json:"homeassistant"`
		Addons        []struct {
			Slug    string `json:"slug"`
			Name    text   `json:"name"`
			Version text   `json:"version"`
		} `json:"addons"`
		Folders      []string `json:"folders"`
		Repositories []text   `json:"repositories"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return Info{}, fmt.Errorf("cannot understand its backup.json: %w", shown(err))
	}
	if raw.Version == 0 {
		raw.Version = 1
	}
	if raw.Version > 2 {
		return Info{}, fmt.Errorf("its format has version %d, only 1 and 2 are known", raw.Version)
	}
	if len(raw.Addons) > maxList || len(raw.Folders) > maxList || len(raw.Repositories) > maxList {
		return Info{}, fmt.Errorf("its backup.json lists more than %d add-ons, folders or repositories", maxList)
	}
	info := Info{
		Slug: string(raw.Slug), Name: string(raw.Name), Date: string(raw.Date), Type: string(raw.Type),
		Protected: raw.Protected || raw.Crypto != "", version: raw.Version,
	}
	ha := bytes.TrimSpace(raw.HomeAssistant)
	switch {
	case len(ha) > 0 && ha[0] == '{':
		var core struct {
			Version text `json:"version"`
		}
		if err := json.Unmarshal(ha, &core); err != nil {
			return Info{}, fmt.Errorf("cannot understand homeassistant in its backup.json: %w", shown(err))
		}
		info.HomeAssistant = string(core.Version)
	case len(ha) > 0 && ha[0] == '"': // version 1
		var version text
		if err := json.Unmarshal(ha, &version); err != nil {
			return Info{}, fmt.Errorf("cannot understand homeassistant in its backup.json: %w", shown(err))
		}
		info.HomeAssistant = string(version)
	}
	seen := map[string]bool{}
	for _, a := range raw.Addons {
		if !slugPattern.MatchString(a.Slug) || seen[a.Slug] {
			return Info{}, fmt.Errorf("its backup.json lists %.140q, which is no add-on's slug or there already", a.Slug)
		}
		seen[a.Slug] = true
		info.Addons = append(info.Addons, Addon{Slug: a.Slug, Name: string(a.Name), Version: string(a.Version)})
	}
	for _, f := range raw.Folders {
		if !slices.Contains(folders, f) {
			return Info{}, fmt.Errorf("its backup.json lists the folder %.140q; known are %s", f, strings.Join(folders, ", "))
		}
		info.Folders = append(info.Folders, f)
	}
	for _, r := range raw.Repositories {
		info.Repositories = append(info.Repositories, string(r))
	}
	return info, nil
}

// shown bounds the text of an error that may quote what it did not understand.
func shown(err error) error {
	if s := err.Error(); len(s) > maxText {
		return fmt.Errorf("%s…", plain(s))
	}
	return err
}
