package trust

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxManifest is the largest manifest or index that is read, the limit registries set.
const maxManifest = 4 << 20

type ociIndex struct {
	Manifests []struct {
		Digest   string `json:"digest"`
		Platform *struct {
			OS           string `json:"os"`
			Architecture string `json:"architecture"`
			Variant      string `json:"variant"`
		} `json:"platform"`
	} `json:"manifests"`
}

type ociManifest struct {
	Config struct {
		Digest string `json:"digest"`
	} `json:"config"`
}

// digests computes the subject's digests again from the raw manifests, and compares with what the engine holds. At
// least one of the two must be there.
func (j *judgement) digests() bool {
	s, raw := j.in.Subject, j.in.Raw
	if raw == nil && j.in.Held == "" {
		return j.against(SubjectInvalid, Position{}, "neither the manifests nor the image held by the engine are at hand")
	}
	if j.in.Held != "" && !s.Has(j.in.Held) {
		return j.against(DigestMismatch, Position{}, "the engine holds %s, want manifest %s or config %s", j.in.Held.Short(), s.Manifest.Short(), s.Config.Short())
	}
	if raw == nil {
		return false
	}
	if len(raw.Index) > maxManifest || len(raw.Manifest) > maxManifest {
		return j.against(DigestMismatch, Position{}, "a manifest is larger than 4 MiB")
	}
	return s.Index != "" && j.indexLists() || j.manifestNames()
}

func (j *judgement) indexLists() bool {
	s, raw := j.in.Subject, j.in.Raw.Index
	if got := DigestOf(raw); got != s.Index {
		return j.against(DigestMismatch, Position{}, "the index is %s, want %s", got.Short(), s.Index.Short())
	}
	var index ociIndex
	if err := readManifest(raw, &index); err != nil {
		return j.against(DigestMismatch, Position{}, "the index can't be read: %.200v", err)
	}
	listed := false
	for _, m := range index.Manifests {
		if Digest(m.Digest) != s.Manifest {
			continue
		}
		listed = true
		if p := m.Platform; p == nil || runsOn(Platform{p.OS, p.Architecture, p.Variant}, s.Platform) {
			return false
		}
	}
	if listed {
		return j.against(WrongPlatform, Position{}, "index %s does not list manifest %s for %s", s.Index.Short(), s.Manifest.Short(), s.Platform)
	}
	return j.against(DigestMismatch, Position{}, "index %s does not list manifest %s", s.Index.Short(), s.Manifest.Short())
}

func (j *judgement) manifestNames() bool {
	s, raw := j.in.Subject, j.in.Raw.Manifest
	if got := DigestOf(raw); got != s.Manifest {
		return j.against(DigestMismatch, Position{}, "the manifest is %s, want %s", got.Short(), s.Manifest.Short())
	}
	var manifest ociManifest
	if err := readManifest(raw, &manifest); err != nil {
		return j.against(DigestMismatch, Position{}, "the manifest can't be read: %.200v", err)
	}
	if got := Digest(manifest.Config.Digest); got != s.Config {
		return j.against(DigestMismatch, Position{}, "manifest %s names config %.80q, want %s", s.Manifest.Short(), got, s.Config)
	}
	return false
}

// readManifest reads keys in any case, as the engines do, and refuses a key that comes twice that way: no two readers
// may see two images in the same bytes.
func readManifest(raw []byte, v any) error {
	return json.Unmarshal(raw, v, json.MatchCaseInsensitiveNames(true))
}

// runsOn tells whether an image of one platform is what host asks for. A variant that is not named stands for the
// usual one: v8 on arm64, v7 on arm. A 32-bit arm host runs images of lower variants.
func runsOn(image, host Platform) bool {
	if image.OS != host.OS || image.Architecture != host.Architecture {
		return false
	}
	usual := map[string]string{"arm64": "v8", "arm": "v7", "amd64": "v1"}[host.Architecture]
	have, want := image.Variant, host.Variant
	if have == "" {
		have = usual
	}
	if want == "" {
		want = usual
	}
	if host.Architecture == "arm" && strings.HasPrefix(have, "v") && len(have) == len(want) {
		return have <= want
	}
	return have == want
}

// covers tells whether a record names every digest of s in its role, and the manifest and config for s's platform.
// platform is false when only the latter fails.
func (n *Notarization) covers(s Subject) (ok, platform bool) {
	has := func(d Digest, role string) (found, fits bool) {
		for _, r := range n.Subjects {
			if r.Digest == d && r.Role == role {
				found = true
				fits = fits || role == RoleIndex || runsOn(ParsePlatform(r.Platform), s.Platform)
			}
		}
		return found, fits
	}
	platform = true
	for _, want := range []struct {
		d    Digest
		role string
	}{{s.Index, RoleIndex}, {s.Manifest, RoleManifest}, {s.Config, RoleConfig}} {
		if want.d == "" {
			continue
		}
		found, fits := has(want.d, want.role)
		if !found {
			return false, true
		}
		platform = platform && fits
	}
	return platform, platform
}

// image tells whether a record of this kind can vouch for an image of class c.
func (n *Notarization) image(c Class) bool {
	return n.Kind == KindImage || c == ClassSupervisor && n.Kind == KindSupervisor
}

// accepted lists whose notarization is good enough for s and whether one is needed (TRUST.md §6 step 4, §7). Core and
// supervisor: the root's core publishers. An add-on: the publisher the root has for its name; else the pinned one;
// else the one its repository or the owner mapped it to. The first that speaks decides: a repository can't talk a
// pinned component over to somebody else. The house key is accepted for everything and makes nothing required.
func accepted(s Subject, root Root, p Policy, pin *Pin) (ids []string, required bool) {
	if s.Class == ClassCore || s.Class == ClassSupervisor {
		return distinct(root.Core, []string{p.House}), true
	}
	ids = preloaded(root, s.Repository)
	if len(ids) == 0 && pin != nil && pin.Publisher != "" {
		ids = []string{pin.Publisher}
	}
	if len(ids) == 0 && p.Map[s.Component] != "" {
		ids = []string{p.Map[s.Component]}
	}
	return distinct(ids, []string{p.House}), len(ids) > 0
}

// names tells whether the newest document of a publisher lets it vouch for a repository.
func (w *words) names(publisher, repository string) bool {
	chain := w.facts.Publishers[publisher]
	return len(chain) > 0 && chain[len(chain)-1].Publisher.Covers(repository)
}

// stranger tells whether somebody who is not accepted has notarized one of the subject's digests.
func (j *judgement) stranger() (pos Position, id string, ok bool) {
	for i := range j.in.Facts.Records {
		n := &j.in.Facts.Records[i]
		if n.Notarization.Status != Trusted || slices.Contains(j.accepted, n.Notarization.Publisher) {
			continue
		}
		if s := j.words.standing(n); s == counts || s == countsByRoot {
			return n.Pos, n.Notarization.Publisher, true
		}
	}
	return Position{}, "", false
}
