package lifecycle

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/addons"
)

// recordFormat is the version of the records that this program writes; a newer one is refused, never guessed at.
const recordFormat = 1

// Record is what is kept of one add-on.
type Record struct {
	Format     int             `json:"format"`
	Slug       string          `json:"slug"`
	Repository string          `json:"repository"`
	Source     string          `json:"source,omitempty"` // of the repository, see SourceError
	Settings   addons.Settings `json:"settings"`
	Granted    addons.Rights   `json:"granted,omitempty"`   // what its owner agreed to
	Manifests  map[string]Kept `json:"manifests,omitempty"` // by version: what is installed, was before, and may be next
	Token      string          `json:"token,omitempty"`     // of the Supervisor API

	IngressPort  uint16 `json:"ingressPort,omitempty"`  // picked for a manifest that leaves it open
	IngressToken string `json:"ingressToken,omitempty"` // names it in the addresses of its pages

	Wanted   bool      `json:"wanted,omitempty"`   // its installation has not ended
	Change   string    `json:"change,omitempty"`   // the change that is to install or remove it, "" before it was begun
	Removing *Removal  `json:"removing,omitempty"` // its removal has not ended
	Gone     *Removal  `json:"gone,omitempty"`     // it was removed and its data is kept
	Before   *Removal  `json:"before,omitempty"`   // the Gone that an installation took up, until it has ended
	Import   []Swap    `json:"import,omitempty"`   // data that waits to take its place
	At       time.Time `json:"at,omitzero"`        // of the installation
}

// Kept is a manifest as it was when its version became installed or offered.
type Kept struct {
	File    string `json:"file"`
	Raw     []byte `json:"raw"`
	Profile string `json:"profile,omitempty"`

	read func() (addons.Manifest, error) // parses it, the first time
}

// parsed is k with a manifest that is parsed when it is first asked for, and never again: what is installed is judged and planned
// for all the time.
func (k Kept) parsed() Kept {
	k.read = sync.OnceValues(func() (addons.Manifest, error) { return addons.ParseManifest(k.File, k.Raw) })
	return k
}

// DataMode says what becomes of an add-on's data when it is removed.
type DataMode string

// Data modes. The zero value keeps.
const (
	KeepData   DataMode = "keep"
	Keep30Days DataMode = "30d"
	DeleteData DataMode = "delete"
)

// Removal is an owner's wish to remove an add-on.
type Removal struct {
	Data  DataMode  `json:"data"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"` // the data is deleted then, zero = never; see due

	Ran time.Duration `json:"ran,omitempty"` // for how long the appliance was seen running since
}

// Swap is a folder that was unpacked beside the one whose place it takes.
type Swap struct {
	From  string `json:"from"`  // waits
	To    string `json:"to"`    // the place
	Aside string `json:"aside"` // where the former one goes until the end
}

// installed tells whether the add-on is there or is to be.
func (r Record) installed() bool { return r.Slug != "" && r.Gone == nil }

func decodeRecord(slug string, b []byte) (r Record, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // an option 5 must not come back as 5.0
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("cannot read what is kept of add-on %q: %w", slug, err)
	}
	if r.Format > recordFormat {
		return r, fmt.Errorf("cannot read what is kept of add-on %q: format %d is newer than %d; install the newer Castellan again", slug, r.Format, recordFormat)
	}
	if r.Slug != slug {
		return r, fmt.Errorf("cannot read what is kept of add-on %q: it says it is of %q", slug, r.Slug)
	}
	for version, k := range r.Manifests {
		r.Manifests[version] = k.parsed()
	}
	return r, nil
}

// change edits a record durably. edit works on a copy and tells whether there is something to keep; a record it leaves
// without a slug is deleted.
func (m *Manager) change(slug string, edit func(r *Record) (bool, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[slug].clone()
	keep, err := edit(&r)
	if err != nil || !keep {
		return err
	}
	if r.Slug == "" {
		if err := m.cfg.Records.Delete(slug); err != nil {
			return fmt.Errorf("cannot forget add-on %q: %w", slug, err)
		}
		delete(m.records, slug)
		return nil
	}
	r.Format = recordFormat
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot keep add-on %q: %w", slug, err)
	}
	if err := m.cfg.Records.Put(slug, b); err != nil {
		return fmt.Errorf("cannot keep add-on %q: %w", slug, err)
	}
	m.records[slug] = r
	return nil
}

// clone is deep in what edits may touch.
func (r Record) clone() Record {
	r.Manifests, r.Granted = maps.Clone(r.Manifests), slices.Clone(r.Granted)
	return r
}

// record returns a copy that the caller may read.
func (m *Manager) record(slug string) Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[slug].clone()
}

// slugs lists all add-ons that something is kept of, in order.
func (m *Manager) slugs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.records))
}

// manifest is what is kept of a version, which is shared: read only.
func (r Record) manifest(version string) (addons.Manifest, Kept, error) {
	k, ok := r.Manifests[version]
	if !ok {
		return addons.Manifest{}, k, fmt.Errorf("cannot tell how version %q of add-on %s is run: its configuration is not kept", version, r.Slug)
	}
	if k.read == nil { // it was made by hand
		k = k.parsed()
	}
	man, err := k.read()
	return man, k, err
}

// newToken is a secret for one add-on: 56 random bytes in hex, as Home Assistant's.
func newToken() string {
	var b [56]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
