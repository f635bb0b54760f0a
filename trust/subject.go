package trust

import "strings"

// Class says which row of the policy table (TRUST.md §7) a component falls under.
type Class string

// Classes of components. The zero value is not a class and is refused by the Judge.
const (
	ClassCore       Class = "core"
	ClassSupervisor Class = "supervisor"
	ClassAddon      Class = "addon"
	ClassLocal      Class = "local" // built on the appliance, never auto-updated
)

// Platform is an OCI platform.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String is the OCI form "linux/arm64/v8"; the variant is left out when empty.
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ParsePlatform reads the form [Platform.String] writes. Missing parts stay empty.
func ParsePlatform(s string) Platform {
	parts := strings.SplitN(s, "/", 3)
	p := Platform{OS: parts[0]}
	if len(parts) > 1 {
		p.Architecture = parts[1]
	}
	if len(parts) > 2 {
		p.Variant = parts[2]
	}
	return p
}

// Subject is what is judged: one image for one component on one platform, by digest. It is an in-toto subject with
// the identity the caller asked for beside it.
type Subject struct {
	Component  string   `json:"component"`  // service name, as "core" or "addon_core_ssh"
	Class      Class    `json:"class"`      //
	Repository string   `json:"repository"` // canonical repository name as go-containerregistry writes it, never a mirror's
	Version    string   `json:"version"`    // the version that was asked for
	Platform   Platform `json:"platform"`
	Index      Digest   `json:"index,omitempty"` // empty when the reference named a manifest directly
	Manifest   Digest   `json:"manifest"`        // this platform's manifest
	Config     Digest   `json:"config"`          // the image ID in Docker's classic store
}

// Digests lists the digests of s that are set, index first.
func (s Subject) Digests() []Digest {
	var out []Digest
	for _, d := range []Digest{s.Index, s.Manifest, s.Config} {
		if d != "" {
			out = append(out, d)
		}
	}
	return out
}

// Has tells whether an image ID reported by an engine is this subject's. The classic image store reports the
// config digest, containerd's the manifest or index digest.
func (s Subject) Has(imageID Digest) bool {
	return imageID != "" && (imageID == s.Config || imageID == s.Manifest || imageID == s.Index)
}

// Raw holds the bytes a subject's digests were computed from, so that the Judge can compute them again.
type Raw struct {
	Index    []byte `json:"index,omitempty"`
	Manifest []byte `json:"manifest"`
}
