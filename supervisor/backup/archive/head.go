package archive

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// format is the version of what is ours in a backup; a newer one is refused, never guessed at.
const format = 1

// Limits on backup.json.
const (
	maxHead         = 4 << 20
	maxParts        = 512
	maxRepositories = 256
	headName        = "backup.json"
)

// Info is what a backup says of itself.
type Info struct {
	Slug         string // 8 hex digits: of the SHA-1 of "<date> - <name>", as Home Assistant makes them
	Name         string
	Date         time.Time
	Type         Type
	Origin       Origin
	Service      string // whose update it was made before
	Version      string // of the Castellan that made it
	Protected    bool   // encrypted: the parts need a key
	Seal         string // how: recovery passphrase
	Recipient    string // public half of the recovery key it was made for
	Repositories []string
	Parts        []Part
	Size         int64 // bytes of the file
}

// Part is one unit in a backup.
type Part struct {
	File       string `json:"file"` // in the outer archive
	Kind       Kind   `json:"kind"`
	Slug       string `json:"slug"`
	Name       string `json:"name"`
	Version    string `json:"version,omitempty"`
	Image      string `json:"image,omitempty"` // repository@digest
	NoDatabase bool   `json:"excludeDatabase,omitempty"`
	Size       int64  `json:"size"` // bytes of the file
	SHA256     string `json:"sha256"`
	Unpacked   int64  `json:"unpacked"` // bytes of the archive in it
	Files      int64  `json:"files"`    // members of that
	LeftOut    int64  `json:"leftOut,omitempty"`
	Changed    int64  `json:"changed,omitempty"` // files that were written to while they were read
}

// Part finds a unit by its slug, nil = it is not in the backup.
func (i Info) Part(slug string) *Part {
	for n := range i.Parts {
		if i.Parts[n].Slug == slug {
			return &i.Parts[n]
		}
	}
	return nil
}

// head is backup.json: Home Assistant's keys, and ours below one of their own. Only what says nothing twice is read back.
type head struct {
	Version           int         `json:"version"`
	Slug              string      `json:"slug"`
	Type              Type        `json:"type"`
	Name              string      `json:"name"`
	Date              string      `json:"date"`
	SupervisorVersion string      `json:"supervisor_version"`
	Compressed        bool        `json:"compressed"`
	Protected         bool        `json:"protected"`
	HomeAssistant     *headHA     `json:"homeassistant"`
	Folders           []string    `json:"folders"`
	Addons            []headAddon `json:"addons"`
	Repositories      []string    `json:"repositories"`
	Extra             struct{}    `json:"extra"`
	Castellan         *headOfOurs `json:"castellan"`
}

type headHA struct {
	Version         string  `json:"version"`
	Size            float64 `json:"size"` // MB
	ExcludeDatabase bool    `json:"exclude_database"`
}

type headAddon struct {
	Slug    string  `json:"slug"`
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Size    float64 `json:"size"` // MB
}

type headOfOurs struct {
	Format    int    `json:"format"`
	Origin    Origin `json:"origin"`
	Service   string `json:"service,omitempty"`
	Seal      string `json:"seal,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	Parts     []Part `json:"parts"`
}

func megabytes(n int64) float64 { return math.Round(float64(n)/1e4) / 100 }

func (i *Info) encode() ([]byte, error) {
	h := head{
		Version: 2, Slug: i.Slug, Type: i.Type, Name: i.Name, Date: i.Date.Format(time.RFC3339Nano), SupervisorVersion: i.Version,
		Compressed: true, Protected: i.Protected, Folders: []string{}, Addons: []headAddon{}, Repositories: append([]string{}, i.Repositories...),
		Castellan: &headOfOurs{Format: format, Origin: i.Origin, Service: i.Service, Seal: i.Seal, Recipient: i.Recipient, Parts: i.Parts},
	}
	for _, p := range i.Parts {
		switch p.Kind {
		case HomeAssistant:
			h.HomeAssistant = &headHA{p.Version, megabytes(p.Size), p.NoDatabase}
		case Addon:
			h.Addons = append(h.Addons, headAddon{p.Slug, p.Name, p.Version, megabytes(p.Size)})
		case Folder:
			h.Folders = append(h.Folders, p.Slug)
		}
	}
	return json.MarshalIndent(h, "", " ")
}

// room is how long backup.json can become once the parts are known: its place comes before them in the file.
func (i *Info) room() (int, error) {
	most := *i
	most.Parts = append([]Part(nil), i.Parts...)
	for n := range most.Parts {
		p := &most.Parts[n]
		p.SHA256 = strings.Repeat("0", 64)
		for _, v := range []*int64{&p.Size, &p.Unpacked, &p.Files, &p.LeftOut, &p.Changed} {
			*v = math.MaxInt64
		}
	}
	b, err := most.encode()
	if err == nil && len(b) > maxHead-1024 {
		err = fmt.Errorf("its table of contents would have more than %d MiB", maxHead>>20)
	}
	return len(b) + 64*len(i.Parts), err // slack for the roundings
}

// encodeInto is backup.json with the spaces that fill its place.
func (i *Info) encodeInto(room int) ([]byte, error) {
	b, err := i.encode()
	if err != nil {
		return nil, err
	}
	if len(b) >= room {
		return nil, fmt.Errorf("its table of contents has %d bytes and room for %d", len(b), room)
	}
	return append(append(b, bytes.Repeat([]byte{' '}, room-len(b)-1)...), '\n'), nil
}

func decodeHead(data []byte) (i Info, err error) {
	var early struct {
		Version   int `json:"version"`
		Castellan *struct {
			Format int `json:"format"`
		} `json:"castellan"`
	}
	if err := jsonv2.Unmarshal(data, &early); err != nil {
		return i, refuse(Damaged, "cannot understand its %s: %s", headName, plain(err.Error()))
	}
	switch {
	case early.Castellan == nil:
		return i, ErrForeign
	case early.Castellan.Format > format || early.Version > 2:
		return i, fmt.Errorf("%w: its format is %d, this one knows %d", ErrNewer, early.Castellan.Format, format)
	}
	var h head
	if err := jsonv2.Unmarshal(data, &h); err != nil {
		return i, refuse(Damaged, "cannot understand its %s: %s", headName, plain(err.Error()))
	}
	c := h.Castellan
	i = Info{
		Slug: h.Slug, Name: plain(h.Name), Type: h.Type, Origin: c.Origin, Service: plain(c.Service), Version: plain(h.SupervisorVersion),
		Protected: h.Protected, Seal: c.Seal, Recipient: plain(c.Recipient), Parts: c.Parts,
	}
	if i.Date, err = time.Parse(time.RFC3339Nano, h.Date); err != nil || !slugPattern.MatchString(h.Slug) || c.Format < 1 {
		return i, refuse(Damaged, "its %s has no slug, date or format", headName)
	}
	if i.Type != Full && i.Type != Partial {
		return i, refuse(Damaged, "its %s says type %.40q: want full or partial", headName, i.Type)
	}
	if h.Protected != (c.Seal == sealRecovery || c.Seal == sealPassphrase) || !h.Protected && c.Seal != "" {
		return i, refuse(Damaged, "its %s says %.40q of how it is encrypted", headName, c.Seal)
	}
	if len(h.Repositories) > maxRepositories || len(c.Parts) > maxParts {
		return i, refuse(TooMany, "it lists more than %d repositories or %d parts", maxRepositories, maxParts)
	}
	for _, r := range h.Repositories {
		i.Repositories = append(i.Repositories, plain(r))
	}
	seen := map[string]bool{}
	for n := range i.Parts {
		p := &i.Parts[n]
		p.Name, p.Version, p.Image = plain(p.Name), plain(p.Version), plain(p.Image)
		if err := p.check(h.Protected); err != nil {
			return i, err
		}
		if seen[p.File] {
			return i, refuse(Twice, "it lists %s twice", p.File)
		}
		seen[p.File] = true
	}
	return i, nil
}

// check holds a part against what ours are like.
func (p *Part) check(sealed bool) error {
	if !unitPattern.MatchString(p.Slug) || p.File != fileName(p.Slug, sealed) || !p.Kind.known() {
		return refuse(Damaged, "it lists the part %.80q of kind %.20q in file %.80q, which does not fit", p.Slug, p.Kind, p.File)
	}
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 {
		return refuse(Damaged, "it has no checksum of %s", p.File)
	}
	if p.Size < 0 || p.Unpacked < 0 || p.Files < 0 || p.LeftOut < 0 || p.Changed < 0 {
		return refuse(Damaged, "it has a size below zero for %s", p.File)
	}
	if p.Size > maxBytes || p.Unpacked > maxBytes || p.Files > maxMembers {
		return refuse(TooLarge, "%s has more than %d GiB or %d files", p.File, maxBytes>>30, maxMembers)
	}
	return nil
}
