package updater

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Each pair is written older first; "=" equal, "?" not to be ordered.
var versionPairs = []struct{ a, op, b string }{
	// calendar versions, the world's most common ones
	{"2026.8.3", "<", "2026.9.0"},
	{"2026.9.9", "<", "2026.9.10"},
	{"2026.12.5", "<", "2027.1.0"},
	{"2026.9", "<", "2026.9.1"},
	{"2026.08.0", "?", "2026.8.0"},
	{"2026.08.0", "<", "2026.8.1"},
	{"2024.1", "?", "2024.01"},
	{"2024.1", "?", "2024.1.0"},
	{"18.2", "<", "18.3"},
	{"9.5", "<", "10.0"},
	// their modifiers
	{"2026.9.0.dev202608220228", "<", "2026.9.0b0"},
	{"2026.9.0.dev202608220228", "<", "2026.9.0.dev202608230000"},
	{"2026.8.3", "<", "2026.9.0.dev202608220228"},
	{"2026.9.0b9", "<", "2026.9.0b10"},
	{"2026.9.0a5", "<", "2026.9.0b0"},
	{"2026.9.0b3", "<", "2026.9.0rc1"},
	{"2026.9.0b3", "<", "2026.9.0"},
	{"2026.9.0d1", "<", "2026.9.0a0"},
	{"18.3.dev20260818", "<", "18.3"},
	// semantic versions
	{"1.0.0-alpha", "<", "1.0.0-beta"},
	{"1.0.0-alpha", "<", "1.0.0-alpha.1"},
	{"1.0.0-beta.2", "<", "1.0.0-beta.11"},
	{"1.0.0-rc.1", "<", "1.0.0"},
	{"1.0.0-1", "<", "1.0.0-2"},
	{"1.0.0-1", "<", "1.0.0"},
	{"1.0.0-x.y", "<", "1.0.0"},
	{"1.0.0-x.y", "?", "1.0.0-x.z"},
	{"1.0.0-foo", "?", "1.0.0-beta"},
	{"1.0.0+a", "?", "1.0.0"},
	{"1.0.0+a", "<", "1.0.1+a"},
	{"0.9.12", "<", "0.10.0"},
	// simple and build versions
	{"1.9", "<", "1.10"},
	{"1.0", "?", "1.0.0"},
	{"1.2.3", "<", "1.2.3.4"},
	{"9", "<", "10"},
	{"225", "<", "2020.12.7"},
	{"99999999999999999999999998", "<", "99999999999999999999999999"},
	{"0x0f", "<", "0x10"},
	{"0x10", "<", "17"},
	// PEP 440
	{"1.0b1", "<", "1.0"},
	{"1.0.0rc1", "<", "1.0.0"},
	{"1.0.post1", "?", "1.0"},
	{"1.0.post1", "<", "1.0.post2"},
	{"9.9", "<", "1!1.0"},
	// special words
	{"stable", "<", "beta"},
	{"beta", "<", "latest"},
	{"latest", "<", "dev"},
	{"9999.12.9", "<", "stable"},
	// equal is equal as a string, less prefix, blanks and a dot
	{"v1.2.3", "=", "1.2.3"},
	{" V1.2.3.", "=", "1.2.3"},
	{"nonsense", "=", "nonsense"},
	{"", "=", ""},
	// unknown kinds
	{"nonsense", "?", "1.2.3"},
	{"", "?", "1.2.3"},
	{"1.2.3", "?", "1..2"},
	{"1.2.3", "?", "sha-1234abc"},
	{"1.2.3", "?", "../../etc"},
	{"1.2.3", "?", strings.Repeat("9", maxVersion+1)},
}

func TestVersionsAreOrderedAsHomeAssistantDoes(t *testing.T) {
	for _, p := range versionPairs {
		want := map[string]struct {
			order int
			ok    bool
		}{"<": {-1, true}, "=": {0, true}, "?": {0, false}}[p.op]
		if order, ok := CompareVersions(p.a, p.b); order != want.order || ok != want.ok {
			t.Errorf("%q %s %q: got %d %v", p.a, p.op, p.b, order, ok)
		}
		if order, ok := CompareVersions(p.b, p.a); order != -want.order || ok != want.ok {
			t.Errorf("%q against %q: got %d %v", p.b, p.a, order, ok)
		}
	}
}

func TestVersionKindIsTheFirstThatMatches(t *testing.T) {
	for v, want := range map[string]VersionKind{
		"225": BuildVersion, "2026.8.3": CalendarVersion, "2026.9.0b0": CalendarVersion, "18.2": CalendarVersion,
		"2026.9.0.dev202608220228": CalendarVersion, "18.3.dev20260818": PythonVersion, "7.1.0.rc1": PythonVersion,
		"0xff": HexVersion, "1.2.3": SemanticVersion, "7.1.0-beta.1": SemanticVersion, "2.6.0+build1": SemanticVersion,
		"latest": SpecialVersion, "1.10": SimpleVersion, "1.2.3.4": SimpleVersion, "1.0.0b1": PythonVersion,
		"": UnknownVersion, "x": UnknownVersion, "1.2.3-": UnknownVersion, "Latest": UnknownVersion,
	} {
		if got := KindOf(v); got != want {
			t.Errorf("KindOf(%q) = %s, want %s", v, got, want)
		}
	}
}

// genVersion makes versions of every kind, and some of none.
func genVersion() *rapid.Generator[string] {
	number := rapid.StringMatching(`0|[1-9][0-9]?|20[0-9]{2}`)
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return rapid.SampledFrom([]string{"stable", "beta", "latest", "dev"}).Draw(t, "word")
		case 1:
			return rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "anything")
		case 2:
			return rapid.StringMatching(`0x[0-9a-f]{1,4}`).Draw(t, "hex")
		}
		sections := rapid.SliceOfN(number, 1, 4).Draw(t, "sections")
		return strings.Join(sections, ".") + rapid.StringMatching(`|(|\.|-)(dev|d|alpha|a|beta|b|rc|post|foo)(|\.)[0-9]{0,2}|-[0-9]|\+b1|a1\.dev2`).Draw(t, "modifier")
	})
}

func TestComparisonIsAntisymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genVersion().Draw(t, "a"), genVersion().Draw(t, "b")
		x, okX := CompareVersions(a, b)
		y, okY := CompareVersions(b, a)
		if x != -y || okX != okY {
			t.Fatalf("%q %q: %d %v, other way round %d %v", a, b, x, okX, y, okY)
		}
		if (x == 0 && okX) != (NormalVersion(a) == NormalVersion(b)) {
			t.Fatalf("%q %q: equal is not equality of strings", a, b)
		}
	})
}

func TestComparisonIsTransitiveWhereDefined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genVersion().Draw(t, "a"), genVersion().Draw(t, "b"), genVersion().Draw(t, "c")
		ab, okAB := CompareVersions(a, b)
		bc, okBC := CompareVersions(b, c)
		if !okAB || !okBC || ab > 0 || bc > 0 {
			return
		}
		if ac, ok := CompareVersions(a, c); !ok || ac > 0 {
			t.Fatalf("%q <= %q <= %q but first against last: %d %v", a, b, c, ac, ok)
		}
	})
}

func FuzzCompareVersions(f *testing.F) {
	for _, p := range versionPairs {
		f.Add(p.a, p.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, okX := CompareVersions(a, b)
		y, okY := CompareVersions(b, a)
		if x != -y || okX != okY || !okX && x != 0 {
			t.Fatalf("%q %q: %d %v, other way round %d %v", a, b, x, okX, y, okY)
		}
	})
}

// TestVersionsAgreeWithCorpus compares with vectors computed by Home Assistant's own library, where CASTELLAN_CORPUS
// names the folder that holds version-vectors.json. Without it there is nothing to do: versionPairs holds our own.
func TestVersionsAgreeWithCorpus(t *testing.T) {
	dir := os.Getenv("CASTELLAN_CORPUS")
	if dir == "" {
		return
	}
	data, err := os.ReadFile(filepath.Join(dir, "version-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct {
		Compare []struct {
			A, B  string
			KindA VersionKind `json:"strategy_a"`
			KindB VersionKind `json:"strategy_b"`
			Eq    bool
			Lt    bool `json:"a_lt_b"`
			Gt    bool `json:"a_gt_b"`
		}
	}
	if err := json.Unmarshal(data, &corpus); err != nil || len(corpus.Compare) == 0 {
		t.Fatalf("%d pairs, %v", len(corpus.Compare), err)
	}
	for _, v := range corpus.Compare {
		order, ok := CompareVersions(v.A, v.B)
		if (ok && order == 0) != v.Eq || (order < 0) != v.Lt || (order > 0) != v.Gt {
			t.Errorf("%q %q: got %d %v, corpus %+v", v.A, v.B, order, ok, v)
		}
		if KindOf(v.A) != v.KindA || KindOf(v.B) != v.KindB {
			t.Errorf("%q is %s, %q is %s; corpus %+v", v.A, KindOf(v.A), v.B, KindOf(v.B), v)
		}
	}
	t.Logf("%d pairs agree", len(corpus.Compare))
}
