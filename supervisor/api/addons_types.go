package api

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/castellan/castellan/addons"
)

// Addon is one line of the list of add-ons.
type Addon struct {
	Slug           string    `json:"slug"`
	Name           string    `json:"name"`
	Repository     string    `json:"repository"` // slug
	Description    string    `json:"description"`
	URL            string    `json:"url"`
	Stage          string    `json:"stage"`   // stable, experimental, deprecated
	Version        string    `json:"version"` // installed, "" = none
	VersionLatest  string    `json:"version_latest"`
	State          string    `json:"state"`               // absent, installing, stopped, running, changing, error, ended, stuck, unknown
	Badge          string    `json:"badge"`               // verified, unsigned, forced, local, withdrawn, refused, not checked, -
	Publisher      string    `json:"publisher,omitempty"` // that it is bound to
	Available      bool      `json:"available"`           // the offered version can be installed here
	UnavailableWhy string    `json:"unavailable_why,omitempty"`
	Update         bool      `json:"update_available"`
	Waiting        *PlanSkip `json:"waiting,omitempty"` // why the update is not there yet
	Build          bool      `json:"build"`             // the image is built here
	Detached       bool      `json:"detached"`          // installed, and offered by nobody any more
	Boot           string    `json:"boot"`              // auto, manual
	AutoUpdate     bool      `json:"auto_update"`
	Watchdog       bool      `json:"watchdog"`
	Protected      bool      `json:"protected"`
	Trouble        string    `json:"trouble,omitempty"` // last failure
	Access         string    `json:"access"`            // what it may reach in one word: low, medium, high; "" = not known yet
	Icon           bool      `json:"icon"`              // there is one
	Ingress        bool      `json:"ingress"`           // it has pages that are shown through the supervisor; known of what is installed
	WebUI          string    `json:"webui,omitempty"`   // as its manifest writes it: "http://[HOST]:[PORT:80]/"

	Card AddonCard `json:"-"` // what Home Assistant's lists show besides
}

// Right is one thing an add-on may reach: a code that stays the same, and what it means as a verb phrase.
type Right struct {
	Code  string `json:"code"`
	Words string `json:"words"`
}

// AddonInfo is everything about one add-on. For one that is not installed, what the author offers is described.
type AddonInfo struct {
	Addon
	LongDescription string  `json:"long_description,omitempty"` // Markdown
	Granted         []Right `json:"granted"`                    // agreed to; none when not installed
	Asks            []Right `json:"asks"`                       // of the offered version, beyond what is granted
	Rating          int     `json:"rating"`                     // 1 to 8, with the evidence there is now
	Evidence        string  `json:"evidence"`                   // what is known of the image, in words
	Reason          string  `json:"reason,omitempty"`           // code of what stands against an image that is not installed
	Verdict         uint64  `json:"verdict,omitempty"`          // verification log record that let it in
	Previous        string  `json:"previous,omitempty"`         // version to go back to

	Options     AddonOptions                `json:"options"`   // in force
	Overrides   AddonOptions                `json:"overrides"` // only what the owner set
	Schema      []map[string]any            `json:"schema"`    // form of Home Assistant's frontend; null = options are not checked
	Ports       []AddonPort                 `json:"ports"`
	Language    string                      `json:"language,omitempty"` // of Translation
	Translation map[string]AddonTranslation `json:"translation,omitempty"`

	Arch        []string `json:"arch"`
	Machine     []string `json:"machine"`
	Core        string   `json:"homeassistant,omitempty"` // oldest Core it works with
	Startup     string   `json:"startup"`
	BootConfig  string   `json:"boot_config"` // auto, manual, manual_only
	HostNetwork bool     `json:"host_network"`
	Stdin       bool     `json:"stdin"`

	Logo          bool `json:"logo"`
	Changelog     bool `json:"changelog"`
	Documentation bool `json:"documentation"`

	Image     string     `json:"image,omitempty"`
	Download  int64      `json:"download,omitempty"`   // bytes to fetch at most, of what is not installed; 0 = not known
	DataBytes int64      `json:"data_bytes,omitempty"` // 0 = not measured
	Kept      *AddonKept `json:"kept,omitempty"`       // of a removed add-on
	Changes   []Change   `json:"changes"`              // newest first
}

// AddonOptions are options whose numbers stay as they are on the way: a fraction of zero is kept, and so is each digit.
type AddonOptions map[string]any

// MarshalJSON writes what [addons.ParseOptions] reads as the same.
func (o AddonOptions) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	return addons.MarshalOptions(o)
}

// UnmarshalJSON reads every number as a [json.Number].
func (o *AddonOptions) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(o))
}

// AddonPort is one port of an add-on.
type AddonPort struct {
	Container   string  `json:"container"` // "80/tcp"
	Host        *uint16 `json:"host"`      // null = not published
	Default     *uint16 `json:"default"`   // the author's
	Description string  `json:"description,omitempty"`
}

// AddonTranslation names one option, or one port, in the reader's language.
type AddonTranslation struct {
	Name        string                      `json:"name"`
	Description string                      `json:"description,omitempty"`
	Fields      map[string]AddonTranslation `json:"fields,omitempty"`
}

// AddonKept is what stayed of a removed add-on.
type AddonKept struct {
	Version string    `json:"version"`
	Removed time.Time `json:"removed"`
	Until   time.Time `json:"until"` // when it is deleted; the zero time = when the owner says so
	Bytes   int64     `json:"bytes,omitempty"`
}

// AddonStats is what a running add-on uses, as Home Assistant names it.
type AddonStats struct {
	CPUPercent    float64 `json:"cpu_percent"`
	MemoryUsage   int64   `json:"memory_usage"` // bytes
	MemoryLimit   int64   `json:"memory_limit"`
	MemoryPercent float64 `json:"memory_percent"`
	NetworkRx     int64   `json:"network_rx"`
	NetworkTx     int64   `json:"network_tx"`
	BlkRead       int64   `json:"blk_read"`
	BlkWrite      int64   `json:"blk_write"`
}

// Kept answers a change of settings.
type Kept struct {
	Dropped []string `json:"dropped"` // options the add-on does not have, left out
	Restart bool     `json:"restart"` // it runs on with the old ones until it is started again
}

// OptionsCheck says whether options may be set. It never holds a value.
type OptionsCheck struct {
	Valid   bool     `json:"valid"`
	Message string   `json:"message"`        // what is wrong and what it must be
	Path    string   `json:"path,omitempty"` // "logins[0].password"
	Dropped []string `json:"dropped"`
}

// Repository is one add-on repository.
type Repository struct {
	Slug       string    `json:"slug"`
	Name       string    `json:"name"`
	Source     string    `json:"source"` // as it was added
	URL        string    `json:"url"`
	Maintainer string    `json:"maintainer"`
	Builtin    bool      `json:"builtin"`   // comes with the appliance, cannot be removed
	Addons     int       `json:"addons"`    // offered
	Installed  int       `json:"installed"` // of them
	Commit     string    `json:"commit,omitempty"`
	Refreshed  time.Time `json:"refreshed"` // last good look at the remote
	Ledger     string    `json:"ledger,omitempty"`
	Problems   []string  `json:"problems"`          // add-ons that cannot be read, and why
	Trouble    string    `json:"trouble,omitempty"` // why the last look brought nothing
}
