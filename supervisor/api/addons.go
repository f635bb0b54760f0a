package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Addons is the add-ons of the appliance, installed and offered. A slug is the full one, as "core_mosquitto"; an
// add-on that nobody knows is an [Error] made by [AddonNotFound].
type Addons interface {
	// List is what is installed, and with all what repositories offer besides. It looks at nothing outside.
	List(ctx context.Context, all bool) ([]Addon, error)
	// Info is everything about one add-on; texts are in lang ("" = English) where its author wrote them so. Options are as
	// they were written: a password is masked here for who may not see it, but "!secret name" must come as a name.
	Info(ctx context.Context, slug, lang string) (AddonInfo, error)
	Life() AddonLife
	Power() AddonPower
	Settings() AddonSettings
	Output() AddonOutput
}

// AddonLife is what makes, moves and removes an add-on. Calls answer as soon as the work is accepted; its course is in
// [Change]. An answer without changes and skips says that it is done. by is the caller in words. Rights that the owner
// has not agreed to are an [Error] made by [ConsentRequired], and nothing has happened.
type AddonLife interface {
	Install(ctx context.Context, slug string, r InstallRequest, by string) (Accepted, error)
	Uninstall(ctx context.Context, slug string, r UninstallRequest, by string) (Accepted, error)
	Update(ctx context.Context, slug string, r AddonUpdateRequest) (Accepted, error)
	Rollback(ctx context.Context, slug string) (Accepted, error)
	// Build makes the image anew from the repository's sources, for an add-on that is built here.
	Build(ctx context.Context, slug string, r BuildRequest) (Accepted, error)
	// Import installs an add-on, or takes its data back, from one of Home Assistant's backup files.
	Import(ctx context.Context, slug string, r ImportRequest, by string) (Accepted, error)
	// Consent notes that the owner agrees to the rights of a version, durably. It may begin the update that waited.
	Consent(ctx context.Context, slug string, r ConsentRequest, by string) (Accepted, error)
}

// AddonPower runs an installed add-on. Answers are as those of [AddonLife]: what stands as asked is a skip.
type AddonPower interface {
	Start(ctx context.Context, slug string) (Accepted, error)
	Stop(ctx context.Context, slug string) (Accepted, error)
	Restart(ctx context.Context, slug string) (Accepted, error)
	// Stdin writes data to the standard input of a running add-on that asks for one.
	Stdin(ctx context.Context, slug string, data []byte) error
}

// AddonSettings is what the owner decides about an installed add-on. What was answered is durable.
type AddonSettings interface {
	// SetOptions puts options, a JSON object, in the place of all the owner set before; null goes back to the author's.
	SetOptions(ctx context.Context, slug string, options json.RawMessage) (Kept, error)
	// CheckOptions says what SetOptions would, and keeps nothing. Options are as there; null checks those in force.
	CheckOptions(ctx context.Context, slug string, options json.RawMessage) (OptionsCheck, error)
	// Set changes the settings that are not nil. by is the caller in words.
	Set(ctx context.Context, slug string, r SettingsRequest, by string) (Kept, error)
}

// AddonOutput is what an add-on and its author say.
type AddonOutput interface {
	// Logs reads what the add-on printed. When it is followed it ends with ctx or the add-on.
	Logs(ctx context.Context, slug string, q LogRequest) (io.ReadCloser, error)
	Stats(ctx context.Context, slug string) (AddonStats, error)
	// File is a file from beside the manifest, bounded in size. One that is not there is [fs.ErrNotExist].
	File(ctx context.Context, slug string, f AddonFile) ([]byte, error)
}

// LogRequest says what of a log is read.
type LogRequest struct {
	Lines  int       // the last ones only; negative = all that is kept
	Since  time.Time // what is older is left out; zero = nothing is
	Until  time.Time // likewise what is newer
	Latest bool      // only what came since the last start
	Follow bool      // and what is to come
	Timed  bool      // each line begins with the time at which it came, RFC 3339 with nanoseconds, and a space
}

// AddonFile names a file from beside an add-on's manifest.
type AddonFile string

// Files of an add-on.
const (
	FileIcon          AddonFile = "icon" // PNG
	FileLogo          AddonFile = "logo" // PNG
	FileChangelog     AddonFile = "changelog"
	FileDocumentation AddonFile = "documentation"
)

// Error keys of add-ons and repositories: Home Assistant's where it has one, in lower case with underscores.
const (
	KeyAddonNotFound     = "app_not_found_error"
	KeyAddonNotInstalled = "app_not_installed_error"
	KeyAddonInstalled    = "app_already_installed_error"
	KeyAddonNotInStore   = "app_not_in_store_error"
	KeyAddonNoUpdate     = "app_no_update_available_error"
	KeyAddonOptions      = "app_configuration_invalid_error"
	KeyAddonBoot         = "app_boot_config_cannot_change_error"
	KeyAddonNotRunning   = "app_not_running_error"
	KeyAddonPort         = "app_port_conflict"
	KeyAddonArch         = "addon_not_supported_architecture_error"
	KeyAddonMachine      = "addon_not_supported_machine_type_error"
	KeyAddonCore         = "addon_not_supported_home_assistant_version_error"
	KeyRepositoryAdded   = "store_repository_already_added_error"

	KeyConsent            = "consent_required"   // extra_fields: slug, version, asks
	KeyLedgerFingerprint  = "ledger_fingerprint" // extra_fields: origin, fingerprint
	KeyRepositoryNotFound = "repository_not_found"
	KeyRepositoryInUse    = "repository_in_use"
	KeyNoAddons           = "addons_off"
)

// AddonNotFound says that neither the appliance nor a repository knows an add-on.
func AddonNotFound(slug string) *Error {
	return &Error{Status: http.StatusNotFound, Key: KeyAddonNotFound, Message: fmt.Sprintf("no add-on %.100q is installed or offered", slug),
		Next: "castellan addon list --all", Extra: map[string]any{"slug": slug}}
}

// ConsentRequired says which rights of a version the owner has not agreed to.
func ConsentRequired(slug, version string, asks []Right, next string) *Error {
	return &Error{Status: http.StatusBadRequest, Key: KeyConsent,
		Message: fmt.Sprintf("%s %s asks for %d rights that nobody agreed to", slug, version, len(asks)),
		Next:    next, Extra: map[string]any{"slug": slug, "version": version, "asks": asks}}
}

// LedgerFingerprint says that a repository names a ledger of its own, whose key the owner must accept to follow it. given
// is the one he gave, "" = none; after a wrong one the next step is not to take the other.
func LedgerFingerprint(repository, origin, fingerprint, given string) *Error {
	if given != "" {
		return &Error{Status: http.StatusBadRequest, Key: KeyLedgerFingerprint,
			Message: fmt.Sprintf("%.200q names a ledger of its own, %q, with the key %s, not %.200s; ask its owner which one is right", repository, origin, fingerprint, given),
			Next:    "castellan repo list", Extra: map[string]any{"origin": origin, "fingerprint": fingerprint}}
	}
	return &Error{Status: http.StatusBadRequest, Key: KeyLedgerFingerprint,
		Message: fmt.Sprintf("%.200q names a ledger of its own, %q, with the key %s; compare the key with what its owner published elsewhere", repository, origin, fingerprint),
		Next:    "castellan repo add " + quoteWord(repository) + " --ledger " + quoteWord(fingerprint),
		Extra:   map[string]any{"origin": origin, "fingerprint": fingerprint}}
}
