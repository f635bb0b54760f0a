package updater

import (
	"cmp"
	"math/big"
	"regexp"
	"strings"
)

// VersionKind is the scheme a version follows. Home Assistant's world mixes six of them; semantic versioning alone
// gets most of it wrong ("2026.08.0" has a leading zero, "2026.9.0b0" no dash, "1.2.3.4" a section too many).
type VersionKind string

// Version kinds, in the order they are tried; the first that matches the whole version wins.
const (
	BuildVersion    VersionKind = "BuildVer"         // digits only
	CalendarVersion VersionKind = "CalVer"           // 2 or 4 digits, ".", 1 or 2 digits, …
	HexVersion      VersionKind = "HexVer"           // 0x…
	SemanticVersion VersionKind = "SemVer"           // semver.org 2.0.0
	SpecialVersion  VersionKind = "SpecialContainer" // latest, dev, stable, beta
	SimpleVersion   VersionKind = "SimpleVer"        // digits and dots
	PythonVersion   VersionKind = "PEP 440"
	UnknownVersion  VersionKind = "unknown" // comparable with nothing but itself
)

// maxVersion is the longest version with a kind, in bytes. An OCI tag has at most 128.
const maxVersion = 128

var versionKinds = []struct {
	kind VersionKind
	re   *regexp.Regexp
}{
	{BuildVersion, regexp.MustCompile(`^[0-9]+$`)},
	{CalendarVersion, regexp.MustCompile(`^([0-9]{2}|[0-9]{4})\.[0-9]{1,2}(\.[0-9]+)?$`)},
	{CalendarVersion, regexp.MustCompile(`^([0-9]{2}|[0-9]{4})\.[0-9]{1,2}(\.[0-9]{1,2}){1,2}\.?[a-z]+[0-9]+$`)},
	{HexVersion, regexp.MustCompile(`^0x[0-9A-Fa-f]+$`)},
	{SemanticVersion, regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-` + semIDs + `)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)},
	{SpecialVersion, regexp.MustCompile(`^(latest|dev|stable|beta)$`)},
	{SimpleVersion, regexp.MustCompile(`^[0-9]+(\.[0-9]+)+$`)},
	{PythonVersion, regexp.MustCompile(`^([1-9][0-9]*!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?([-_.]?(post|dev|rc)[0-9]+)*$`)},
}

const semIDs = `(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*`

var (
	specialRank  = map[string]int{"stable": 1, "beta": 2, "latest": 3, "dev": 4}
	modifierRank = map[string]int{"dev": 1, "d": 1, "alpha": 2, "a": 2, "beta": 3, "b": 3, "rc": 4}

	// epoch, numeric sections, the rest
	versionParts = regexp.MustCompile(`^(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)(.*)$`)
	modifierForm = regexp.MustCompile(`^[-_.]?([a-z]*)[-_.]?([0-9]*)$`)
)

// NormalVersion is a version without what never counts: surrounding blanks, the prefix "v", one trailing dot. Two
// versions are equal exactly when their normal forms are the same string, so "1.0" and "1.0.0" are not.
func NormalVersion(v string) string {
	v = strings.TrimSpace(v)
	if v != "" && (v[0] == 'v' || v[0] == 'V') {
		v = v[1:]
	}
	return strings.TrimSuffix(v, ".")
}

// KindOf tells the scheme of a version.
func KindOf(version string) VersionKind {
	v := NormalVersion(version)
	if len(v) <= maxVersion {
		for _, k := range versionKinds {
			if k.re.MatchString(v) {
				return k.kind
			}
		}
	}
	return UnknownVersion
}

// CompareVersions orders two versions as Home Assistant does: -1 when a is older than b, +1 when it is newer, 0 when
// they are equal. ok is false when they cannot be ordered, which callers must read as "no update": one is of an
// unknown kind, or they differ without one being newer ("1.0" and "1.0.0", "2024.1" and "2024.01", "+build").
//
// Special words beat every number, and among them stable < beta < latest < dev. Otherwise the numeric sections are
// compared from the left, a missing one is 0; with equal sections a version without a modifier is newer than one
// with, and modifiers rank dev (d) < alpha (a) < beta (b) < rc, then by number. Where PEP 440 and that rule speak
// against each other ("1.0.post1" and "1.0") neither is taken for newer.
func CompareVersions(a, b string) (order int, ok bool) {
	a, b = NormalVersion(a), NormalVersion(b)
	if a == b {
		return 0, true
	}
	x, y := readVersion(a), readVersion(b)
	if x.kind == UnknownVersion || y.kind == UnknownVersion {
		return 0, false
	}
	if c := cmp.Compare(x.special, y.special); c != 0 {
		return c, true
	}
	for i := range max(len(x.sections), len(y.sections)) {
		if c := compareDigits(x.section(i), y.section(i)); c != 0 {
			return c, true
		}
	}
	c := x.modifier.compare(y.modifier)
	return c, c != 0
}

// versionKey is a version taken apart. Its first section is the epoch, which only PEP 440 has.
type versionKey struct {
	kind     VersionKind
	special  int
	sections []string // decimal digits
	modifier modifier
}

// modifier is what stands behind the numbers: "b3" is {"b", "3"}.
type modifier struct{ word, number string }

func readVersion(v string) versionKey {
	k := versionKey{kind: KindOf(v)}
	switch k.kind {
	case UnknownVersion:
		return k
	case SpecialVersion:
		k.special = specialRank[v]
		return k
	case HexVersion:
		n, _ := new(big.Int).SetString(v[2:], 16) // the kind says that it is hexadecimal
		k.sections = []string{"0", n.String()}
		return k
	case SemanticVersion:
		v, _, _ = strings.Cut(v, "+") // build metadata never orders (semver.org, 10)
	}
	parts := versionParts.FindStringSubmatch(v)
	if parts == nil {
		return versionKey{kind: UnknownVersion}
	}
	k.sections = append([]string{parts[1]}, strings.Split(parts[2], ".")...)
	rest := strings.ToLower(parts[3])
	if m := modifierForm.FindStringSubmatch(rest); m != nil {
		k.modifier = modifier{m[1], m[2]}
	} else {
		k.modifier = modifier{word: rest} // several modifiers: no rank, but still not a release
	}
	return k
}

func (k versionKey) section(i int) string {
	if i < len(k.sections) {
		return k.sections[i]
	}
	return ""
}

// compare orders modifiers; 0 means equal or not to be ordered.
func (m modifier) compare(o modifier) int {
	switch {
	case m == o, (m == modifier{} && strings.Contains(o.word, "post")), (o == modifier{} && strings.Contains(m.word, "post")):
		return 0
	case m == modifier{}:
		return 1
	case o == modifier{}:
		return -1
	case m.word == o.word:
		return compareDigits(m.number, o.number)
	}
	rm, ro := modifierRank[m.word], modifierRank[o.word]
	if rm == 0 || ro == 0 {
		return 0
	}
	if c := cmp.Compare(rm, ro); c != 0 {
		return c
	}
	return compareDigits(m.number, o.number) // "b1" and "beta2"
}

// compareDigits compares decimal numbers of any length; "" is 0.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
