package api

import "encoding/json"

// AddonList is the answer of /castellan/addons, by slug.
type AddonList struct {
	Addons []Addon `json:"addons"`
}

// RepositoryList is the answer of /castellan/repositories.
type RepositoryList struct {
	Repositories []Repository `json:"repositories"`
}

// InstallRequest asks for an add-on. Asks are the codes of the rights that its owner was shown and agreed to.
type InstallRequest struct {
	Start      bool     `json:"start,omitempty"`
	AutoUpdate bool     `json:"auto_update,omitempty"`
	Asks       []string `json:"asks,omitempty"`
}

// BuildRequest asks to build an add-on here. Asks are those of [InstallRequest], for one that is not installed.
type BuildRequest struct {
	Asks []string `json:"asks,omitempty"`
}

// What becomes of the data of a removed add-on.
const (
	DataKeep   = "keep"   // it stays until the owner deletes it
	Data30Days = "30d"    // it is deleted after 30 days
	DataDelete = "delete" // it is deleted now
)

// UninstallRequest asks to remove an add-on; Data empty = [DataKeep].
type UninstallRequest struct {
	Data string `json:"data,omitempty"`
}

// AddonUpdateRequest asks for the update of one add-on; Version empty = the newest.
type AddonUpdateRequest struct {
	Version string `json:"version,omitempty"`
}

// ConsentRequest agrees to rights of a version. Asks are the codes that the owner was shown.
type ConsentRequest struct {
	Version string   `json:"version"`
	Asks    []string `json:"asks"`
}

// ImportRequest asks to take an add-on from a backup file at an absolute path of the appliance.
type ImportRequest struct {
	Path  string   `json:"path"`
	Start bool     `json:"start,omitempty"`
	Asks  []string `json:"asks,omitempty"` // as in InstallRequest
}

// OptionsRequest carries options, a JSON object or null.
type OptionsRequest struct {
	Options json.RawMessage `json:"options"`
}

// SettingsRequest changes what is not nil. Ports are container port -> host port, null = not published; those not named
// stay.
type SettingsRequest struct {
	Ports      map[string]*uint16 `json:"ports,omitempty"`
	Boot       *string            `json:"boot,omitempty"` // auto, manual
	AutoUpdate *bool              `json:"auto_update,omitempty"`
	Watchdog   *bool              `json:"watchdog,omitempty"`
	Protected  *bool              `json:"protected,omitempty"`
	Panel      *bool              `json:"ingress_panel,omitempty"` // its pages have a place in Home Assistant's side bar
}

// StdinRequest carries text for an add-on's standard input.
type StdinRequest struct {
	Data string `json:"data"`
}

// AddRepositoryRequest follows a repository. Ledger is the fingerprint of the repository's own ledger that the owner
// compared and accepts.
type AddRepositoryRequest struct {
	Repository string `json:"repository"` // git URL, with #branch or without
	Ledger     string `json:"ledger,omitempty"`
}

// RefreshRequest names the repository to look at; empty = all.
type RefreshRequest struct {
	Slug string `json:"slug,omitempty"`
}
