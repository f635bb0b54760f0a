// Package lifecycle keeps the add-ons of an appliance: which are installed, with what their owner decided, and what
// becomes of them.
//
// # Crash model
//
// An owner's wish is a record, written durably before anything is done about it. [Manager.Reconcile] compares the records
// with what the supervisor has and asks for what is missing: it is what happens after each change, at the start, and after
// a power cut alike. So install, uninstall, options, consent and import end with what was asked or with what was there
// before. The containers themselves are the supervisor's; this package never touches one.
//
// # What may come in
//
// An add-on is updated by the same Plan as anything else ([Manager.Installed] is its input), judged by the same Gate. The
// manifest that a version is run with is kept with the record, so neither a repository that vanishes nor one that changes
// a version in place changes what is installed. A version that asks for more rights than its owner granted is not run,
// whoever asks: [Manager.Define] refuses to say how.
//
// # Trust statement
//
// The records hold the tokens of add-ons and whatever secrets are in their options. Who can write them can grant rights
// and run any image that the Gate lets in with them. They lie in the journal, which is root's.
package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/castellan/castellan/addons"
	"github.com/castellan/castellan/supervisor/spec"
)

// Errors a caller branches on.
var (
	ErrNotInstalled = errors.New("it is not installed")
	ErrInstalled    = errors.New("it is installed already")
	ErrNotOffered   = errors.New("no repository offers it")
	ErrBusy         = errors.New("it is being installed or removed")
	ErrImporting    = errors.New("an import of it is under way")
)

// Offer is what a repository has of an add-on now.
type Offer struct {
	Slug       string // full
	Repository string // slug of the repository
	Source     string // and its address as it was added, which no other has
	Manifest   addons.Manifest
	File       string    // name of the configuration file, which says whether it is YAML or JSON
	Raw        []byte    // its bytes
	Profile    string    // apparmor.txt, "" = none
	Seen       time.Time // when this version was first seen, zero = unknown
	Folder     string    // where its Dockerfile is, for a build
}

// Offers are the repositories as this package sees them.
type Offers interface {
	// Offer returns what is there now; the error wraps [ErrNotOffered] and says why when nothing is.
	Offer(slug string) (Offer, error)
}

// Records keep one record for each add-on. Put and Delete return after the change survives a power cut.
type Records interface {
	Load() (map[string][]byte, error)
	Put(slug string, record []byte) error
	Delete(slug string) error
}

// Standing is how a service stands with the supervisor. The zero Standing is one it has never heard of.
type Standing struct {
	Version, Previous string // installed, "" = none
	Open, OpenVersion string // change under way, and where to
	Stopped           string // why it is kept stopped, "" = it must run
	Unproved          bool   // what is installed was never started
	Profile           string // AppArmor profile its container was made with, "" = the engine's
	Last              Change // the newest change that ended
}

// Change is one that ended.
type Change struct {
	ID      string
	Removal bool
	Good    bool
	Why     string
	Created time.Time
}

// Power is what becomes of a service's container as it is.
type Power string

// Powers. Restart is one step: whatever is cut in it, a service that must run is started again.
const (
	PowerStart   Power = "start"
	PowerStop    Power = "stop"
	PowerRestart Power = "restart"
)

// Supervisor looks after the services that are there.
type Supervisor interface {
	// Standing reads the journal and asks nobody back.
	Standing(service string) (Standing, error)
	// Differs tells whether an installed service would be made otherwise now; it asks [Manager.Define].
	Differs(service string) (bool, error)
	// Run starts or stops a container as it is.
	Run(ctx context.Context, service string, do Power) error
	// Retune takes over what changes without a new container.
	Retune(ctx context.Context, service string) error
	// Still runs do while the service is stopped and nothing can start it; an error of its own says that do was not called.
	Still(ctx context.Context, service string, do func() error) error
}

// Changer brings services in, makes them anew and takes them away. Its calls return the ID of a change once that is durable;
// each asks [Manager.Define], but Remove.
type Changer interface {
	Install(ctx context.Context, service string) (change string, err error)
	// Place installs, or updates to, an image that was built here.
	Place(ctx context.Context, service, version, image string) (change string, err error)
	Renew(ctx context.Context, service string) (change string, err error)
	Remove(ctx context.Context, service string) (change string, err error)
}

// Host is the appliance as add-ons see it.
type Host interface {
	// Place is where an add-on runs. Slug, Token, Profile and IngressPort are filled in by the caller.
	Place() addons.Place
	// Secret is a value of Home Assistant's secrets.yaml.
	Secret(name string) (string, bool)
	// Device tells whether a device path is there and, unless subsystem is "", of that subsystem.
	Device(path, subsystem string) bool
	// Exists tells whether a path is there.
	Exists(path string) bool
	// LoadProfile loads an add-on's AppArmor profile beside its others and returns the kernel's name of it, which no other
	// content has; "" where nothing can load one.
	LoadProfile(ctx context.Context, slug, profile string) (name string, err error)
	// DropProfiles unloads and deletes an add-on's profiles, but not those of these contents nor the one of the name in use.
	DropProfiles(ctx context.Context, slug, inUse string, profiles []string) error
	// Taken tells in words which part of the configuration has a host port, as "service core"; "" = none.
	Taken(p spec.Port) string
}

// Config is what a [Manager] works with. All but Log, Now and Clock must be set.
type Config struct {
	Records    Records
	Offers     Offers
	Supervisor Supervisor
	Changer    Changer
	Host       Host
	// Build makes an image of a local add-on with the engine and returns its ID.
	Build func(ctx context.Context, o Offer) (image string, err error)
	// Discard removes the images that were built of an add-on and that nothing needs. What it cannot remove costs space
	// and nothing else, and is met again the next time.
	Discard func(ctx context.Context, slug string)
	// Forget drops what others keep of an add-on that is gone: services it offered, what it discovered.
	Forget func(slug string) error
	Log    *slog.Logger
	Now    func() time.Time
	Clock  func() bool // whether Now is believable at this moment; nil = always
}

// Manager is safe for concurrent use.
type Manager struct {
	cfg  Config
	kick chan struct{}
	work sync.Mutex // one Reconcile at a time

	counted map[string]time.Time // up to when the time since a removal is kept; guarded by work
	armour  sync.Mutex           // profiles are loaded and dropped one by one

	mu        sync.Mutex
	records   map[string]Record
	importing map[string]bool   // see Importing
	builds    map[string]bool   // builds under way, by slug
	trouble   map[string]string // why a wish could not be begun, see note
}

// New makes a Manager of what is kept. A record that cannot be read is an error: to forget one is to lose what its owner
// decided.
func New(cfg Config) (*Manager, error) {
	if cfg.Records == nil || cfg.Offers == nil || cfg.Supervisor == nil || cfg.Changer == nil || cfg.Host == nil || cfg.Build == nil || cfg.Discard == nil || cfg.Forget == nil {
		return nil, errors.New("cannot keep add-ons: a part is missing in the Config")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Manager{
		cfg: cfg, kick: make(chan struct{}, 1), records: map[string]Record{}, trouble: map[string]string{}, counted: map[string]time.Time{},
		importing: map[string]bool{}, builds: map[string]bool{},
	}
	kept, err := cfg.Records.Load()
	if err != nil {
		return nil, err
	}
	for slug, b := range kept {
		if m.records[slug], err = decodeRecord(slug, b); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// servicePrefix is what the services of add-ons are called after, as in Home Assistant.
const servicePrefix = "addon_"

// Service is the name of an add-on's service and container.
func Service(slug string) string { return servicePrefix + slug }

// Slug is the add-on of a service; ok is false when it is none of an add-on.
func Slug(service string) (slug string, ok bool) {
	if slug, ok = strings.CutPrefix(service, servicePrefix); !ok {
		return "", false
	}
	return slug, true
}

func (m *Manager) now() time.Time { return m.cfg.Now().UTC().Round(0) }
