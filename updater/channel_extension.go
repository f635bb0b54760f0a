package updater

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/castellan/castellan/trust"
)

// channelExtension is the "castellan" object of a channel file. Unknown keys in it are refused: an appliance that
// does not understand a condition must not update past it.
//
//	"castellan": {
//	  "targets":  {"core": {"reference": "registry/repo:tag", "version": "2026.8.3"}},   // beside or instead of Home Assistant's
//	  "digests":  {"core": "sha256:…", "core/raspberrypi4-64": "sha256:…"},               // index or manifest; with a machine or arch the narrower one counts
//	  "requires": {"core": [{"target": "supervisor", "version": "2026.07.0"}]},           // at least
//	  "floors":   {"core": "2026.6.0"},                                                   // oldest version an owner may go back to
//	  "rollout":  25,                                                                     // percent of appliances, 0 to 100
//	  "together": true                                                                    // all targets move or none does
//	}
type channelExtension struct {
	Targets  map[string]wireTarget        `json:"targets"`
	Digests  map[string]string            `json:"digests"`
	Requires map[string][]wireRequirement `json:"requires"`
	Floors   map[string]string            `json:"floors"`
	Rollout  *int                         `json:"rollout"`
	Together bool                         `json:"together"`
}

type wireTarget struct {
	Reference string `json:"reference"`
	Version   string `json:"version"`
}

type wireRequirement struct {
	Target  string `json:"target"`
	Version string `json:"version"`
}

var (
	targetName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	versionForm = regexp.MustCompile(`^[!-~]{1,128}$`)
)

// maxTargets bounds what one file may name.
const maxTargets = 256

// apply adds the extension to a release that has Home Assistant's targets.
func (e *channelExtension) apply(rel *Release, o ChannelOptions) error {
	for _, name := range slices.Sorted(maps.Keys(e.Targets)) {
		t := e.Targets[name]
		m := imageRef.FindStringSubmatch(t.Reference)
		switch {
		case !targetName.MatchString(name):
			return fmt.Errorf("key \"targets\": %.80q is not a target's name", name)
		case !versionForm.MatchString(t.Version):
			return fmt.Errorf("key \"targets.%s.version\": %.80q is not a version", name, t.Version)
		case m == nil:
			return fmt.Errorf("key \"targets.%s.reference\": %.200q is not an image reference", name, t.Reference)
		case !strings.ContainsAny(strings.TrimPrefix(t.Reference, m[1]), ":@"):
			if !imageTag.MatchString(t.Version) {
				return fmt.Errorf("key \"targets.%s.reference\": %.200q has no tag and version %.80q can't be one", name, t.Reference, t.Version)
			}
			t.Reference += ":" + t.Version
		}
		_, digest, _ := strings.Cut(t.Reference, "@")
		rel.Targets[name] = Target{Reference: t.Reference, Version: t.Version, Digest: trust.Digest(digest)}
	}
	if len(rel.Targets) > maxTargets {
		return fmt.Errorf("key \"targets\": %d targets, at most %d", len(rel.Targets), maxTargets)
	}
	if err := e.applyDigests(rel, o); err != nil {
		return err
	}
	for name, list := range e.Requires {
		for i, r := range list {
			if !targetName.MatchString(r.Target) || KindOf(r.Version) == UnknownVersion {
				return fmt.Errorf("key \"requires.%s[%d]\": %.80q at version %.80q can't be compared", name, i, r.Target, r.Version)
			}
			rel.Requires[name] = append(rel.Requires[name], Requirement(r))
		}
	}
	for name, v := range e.Floors {
		if KindOf(v) == UnknownVersion {
			return fmt.Errorf("key \"floors.%s\": version %.80q can't be compared", name, v)
		}
		rel.Floor[name] = v
	}
	if e.Rollout != nil {
		if *e.Rollout < 0 || *e.Rollout > 100 {
			return fmt.Errorf("key \"rollout\": %d is not a percentage from 0 to 100", *e.Rollout)
		}
		rel.Rollout = *e.Rollout
	}
	rel.Together = e.Together
	return nil
}

// applyDigests fills the digests in. One file serves all machines, so entries for others are only checked for form.
func (e *channelExtension) applyDigests(rel *Release, o ChannelOptions) error {
	// Sorted, "core" comes before "core/raspberrypi4-64", which is narrower and so has the last word.
	for _, key := range slices.Sorted(maps.Keys(e.Digests)) {
		d, err := trust.ParseDigest(e.Digests[key])
		if err != nil {
			return fmt.Errorf("key \"digests.%.80s\": %w", key, err)
		}
		name, only, narrow := strings.Cut(key, "/")
		t, ok := rel.Targets[name]
		if !ok || narrow && only != o.Machine && only != o.Arch {
			continue
		}
		if _, pinned, ok := strings.Cut(t.Reference, "@"); ok && pinned != string(d) {
			return fmt.Errorf("key \"digests.%.80s\" says %s and the target's reference %s", key, d, pinned)
		}
		t.Digest = d
		rel.Targets[name] = t
	}
	return nil
}

// bucket places an appliance between 0 and 99 for one release. It depends on the versions and not on the file, so that
// raising the percentage adds appliances and never swaps them; and on the release, so that it is not always the
// same homes that go first.
func bucket(appliance string, rel *Release) int {
	if appliance == "" {
		return 0
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", appliance, rel.Channel)
	for _, name := range slices.Sorted(maps.Keys(rel.Targets)) {
		fmt.Fprintf(h, "%s=%s\x00", name, rel.Targets[name].Version)
	}
	return int(binary.BigEndian.Uint64(h.Sum(nil)) % 100)
}
