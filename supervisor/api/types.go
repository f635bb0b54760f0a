package api

import "time"

// Status is the state of the house in one answer.
type Status struct {
	Version   string          `json:"version"`
	State     string          `json:"state"` // startup, running, stopping
	Appliance string          `json:"appliance"`
	Config    ConfigStatus    `json:"config"`
	Engine    EngineStatus    `json:"engine"`
	Ledger    LedgerStatus    `json:"ledger"`  // the root's
	Ledgers   []LedgerStatus  `json:"ledgers"` // that one, and those repositories of add-ons have of their own
	Channel   ChannelStatus   `json:"channel"`
	Services  []ServiceStatus `json:"services"`
	Network   NetworkStatus   `json:"network"`
	Storage   StorageStatus   `json:"storage"`
	LogSeq    uint64          `json:"log_seq"` // last record of the verification log
}

// ConfigStatus tells which configuration is in force.
type ConfigStatus struct {
	Path   string    `json:"path"`
	Loaded time.Time `json:"loaded"`
	Error  string    `json:"error,omitempty"` // why the file on disk is not in force
}

// StorageStatus tells how much room there is where the daemon keeps its data, in bytes; Total is 0 when nobody knows.
type StorageStatus struct {
	Total int64 `json:"total"`
	Free  int64 `json:"free"`
}

// NetworkStatus tells whether people may call from the network of the house.
type NetworkStatus struct {
	Listen      string    `json:"listen,omitempty"`      // address and port; "" = nowhere
	TLS         string    `json:"tls,omitempty"`         // off, self, files
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA-256 of the certificate
	Ends        time.Time `json:"ends,omitzero"`         // when the certificate does
	Owner       bool      `json:"owner"`                 // somebody can log in
	Error       string    `json:"error,omitempty"`       // why nobody can, or what is wrong with the certificate

	Ingress      string `json:"ingress,omitempty"`       // address and port of add-ons' own pages; "" = nowhere
	IngressPort  uint16 `json:"ingress_port,omitempty"`  // that port: what a page's address has in place of the one people log in at
	IngressError string `json:"ingress_error,omitempty"` // why they are not there although they should be
}

// EngineStatus tells whether the Docker engine answers.
type EngineStatus struct {
	Version string `json:"version,omitempty"`
	API     string `json:"api,omitempty"`
	Error   string `json:"error,omitempty"`
}

// LedgerStatus tells how far the replica is and how fresh.
type LedgerStatus struct {
	Origin string    `json:"origin"`
	State  string    `json:"state"`           // fresh, stale, expired, empty, quarantined
	Count  uint64    `json:"count"`           // transactions verified
	Time   time.Time `json:"time"`            // newest valid checkpoint
	Root   int       `json:"root,omitempty"`  // root version in force; only of the root's ledger
	Error  string    `json:"error,omitempty"` // why the last sync brought nothing

	// Ignored counts what the ledger holds and no verdict heeds, by kind: repeated, malformed, otherLedger, metadata,
	// foreign. Kinds that were not met are left out.
	Ignored map[string]uint64 `json:"ignored,omitempty"`

	Services []string `json:"services,omitempty"` // judged by it; only of a repository's ledger
}

// ChannelStatus tells what the channel offers.
type ChannelStatus struct {
	Name     string    `json:"name"`
	Fetched  time.Time `json:"fetched"`
	Verified bool      `json:"verified"` // is the file the ledger's newest channel record names
	Error    string    `json:"error,omitempty"`
}

// ServiceStatus is one service.
type ServiceStatus struct {
	Name      string `json:"name"`
	Slug      string `json:"slug,omitempty"`  // of an add-on
	Title     string `json:"title,omitempty"` // what its repository calls an add-on
	Class     string `json:"class"`
	State     string `json:"state"` // running, stopped, absent, changing, stuck
	Version   string `json:"version"`
	Image     string `json:"image,omitempty"`
	Badge     string `json:"badge"`               // verified, unsigned, forced, local, withdrawn, not checked
	Publisher string `json:"publisher,omitempty"` // who vouches for it: you, project, or a publisher ID
	Verdict   uint64 `json:"verdict,omitempty"`   // verification log record that let it in
	Previous  string `json:"previous,omitempty"`  // version to go back to
	Mode      string `json:"mode"`                // auto, ask, off, hold
	Held      bool   `json:"held,omitempty"`      // its owner put its updates on hold
	Available string `json:"available,omitempty"` // newer version
	Waiting   string `json:"waiting,omitempty"`   // why it is not there yet, in words
	Code      string `json:"code,omitempty"`      // likewise, as in a plan's skips
	Change    string `json:"change,omitempty"`    // open change
	Stopped   string `json:"stopped,omitempty"`   // why it is kept stopped
	Error     string `json:"error,omitempty"`     // last failure
}

// Plan is what would happen now.
type Plan struct {
	Steps []PlanStep `json:"steps"`
	Skips []PlanSkip `json:"skips"`
}

// PlanStep is one service that would move.
type PlanStep struct {
	Service string `json:"service"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// PlanSkip is one service that does not move, and why.
type PlanSkip struct {
	Service string `json:"service"`
	Code    string `json:"code"`
	Why     string `json:"why"`
	To      string `json:"to,omitempty"`
}

// UpdateRequest asks for updates. Service empty = all that wait; Version needs a service.
type UpdateRequest struct {
	Service string `json:"service,omitempty"`
	Version string `json:"version,omitempty"`
}

// RollbackRequest asks for the previous version of a service.
type RollbackRequest struct {
	Service string `json:"service"`
}

// Accepted lists the changes that were made of a request, and what did not move.
type Accepted struct {
	Changes []string   `json:"changes"`
	Skips   []PlanSkip `json:"skips"`
}

// Change is one service's way from one image to another.
type Change struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Slug    string    `json:"slug,omitempty"` // of an add-on
	Kind    string    `json:"kind"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	State   string    `json:"state"`             // as supervisor.State
	Done    bool      `json:"done"`              // State is terminal
	Good    bool      `json:"good"`              // and is what was asked for
	Reason  string    `json:"reason,omitempty"`  // reason code of the verdict that refused or deferred it
	Why     string    `json:"why,omitempty"`     // why it turned round
	Trouble string    `json:"trouble,omitempty"` // why its last step failed, which is tried again
	Next    string    `json:"next,omitempty"`
	Bytes   int64     `json:"bytes,omitempty"` // downloaded
	Total   int64     `json:"total,omitempty"`
	Verdict uint64    `json:"verdict,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`          // when it last moved, in a download by bytes
	Passed  []Passage `json:"passed,omitempty"` // the states it reached, oldest first
}

// Passage is when a change reached a state.
type Passage struct {
	State string    `json:"state"`
	At    time.Time `json:"at"`
}

// ForceRequest asks for an override (TRUST.md §7).
type ForceRequest struct {
	Service string   `json:"service"`
	Digest  string   `json:"digest"`            // manifest digest, as the refusal shows it; empty = of the last refused change
	Reasons []string `json:"reasons,omitempty"` // reason codes; empty = those of the last refusal
	Why     string   `json:"why"`
	Confirm string   `json:"confirm,omitempty"` // the service's name typed again
}

// Override is a permission that waits to be used.
type Override struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Version string    `json:"version"`
	Digest  string    `json:"digest"`
	Reasons []string  `json:"reasons"`
	Expires time.Time `json:"expires"`
	Seq     uint64    `json:"seq"` // its verification log record
}

// Pin is what the appliance remembers of a service: who must have signed it, and from which place in the ledger on.
type Pin struct {
	Service   string `json:"service"`
	Publisher string `json:"publisher,omitempty"`
	Floor     uint64 `json:"floor,omitempty"` // transaction
	Ledger    string `json:"ledger,omitempty"`
}

// ForgetRequest asks to drop a pin.
type ForgetRequest struct {
	Service string `json:"service"`
}

// LogReport says whether the log's chain holds.
type LogReport struct {
	OK      bool   `json:"ok"`
	Records uint64 `json:"records"`
	Head    string `json:"head"` // hash of the last line
	Error   string `json:"error,omitempty"`
}

// Explanation says why a verdict is what it is.
type Explanation struct {
	Seq     uint64   `json:"seq"`
	Text    string   `json:"text"`    // for people, several lines
	Reasons []string `json:"reasons"` // codes
	Next    string   `json:"next"`
}

// Replay says whether judging the stored evidence again gives the same verdict.
type Replay struct {
	Seq   uint64 `json:"seq"`
	Agree bool   `json:"agree"`
	Then  string `json:"then"`
	Now   string `json:"now"`
}
