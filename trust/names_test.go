package trust

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStarStaysWithinOnePathSegment(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"ghcr.io/home-assistant/core", "ghcr.io/home-assistant/core", true},
		{"ghcr.io/home-assistant/*", "ghcr.io/home-assistant/core", true},
		{"ghcr.io/home-assistant/*", "ghcr.io/home-assistant/core/evil", false},
		{"ghcr.io/home-assistant/*", "ghcr.io/home-assistant", false},
		{"ghcr.io/home-assistant/*", "ghcr.io/home-assistant/", false},
		{"ghcr.io/home-assistant*", "ghcr.io/home-assistant/core", false},
		{"ghcr.io/home-assistant/*", "ghcr.io/home-assistant.evil/core", false},
		{"ghcr.io/*/core", "ghcr.io/a/core", true},
		{"ghcr.io/*/core", "ghcr.io/a/b/core", false},
		{"*", "ghcr.io/home-assistant/core", false},
		{"*/*/*", "ghcr.io/home-assistant/core", true},
		{"ghcr.io/x/*-addon-*", "ghcr.io/x/amd64-addon-ssh", true},
		{"ghcr.io/x/*-addon-*", "ghcr.io/x/-addon-", true},
		{"ghcr.io/x/*-addon-*", "ghcr.io/x/amd64-ssh", false},
		{"ghcr.io/x/a*a", "ghcr.io/x/a", false},
		{"ghcr.io/x/a**b", "ghcr.io/x/ab", true},
		{"ghcr.io/x/[ab]", "ghcr.io/x/a", false},
		{"ghcr.io/x/?", "ghcr.io/x/a", false},
		{"ghcr.io/x/a", "ghcr.io/x/A", false},
		{"", "", false},
	} {
		if got := NameMatches(c.pattern, c.name); got != c.want {
			t.Errorf("NameMatches(%q, %q) = %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func TestNameMatchesAgreesWithARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*/]{1,12}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab]{1,4}(/[ab]{1,4}){0,3}`).Draw(t, "name")
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[^/]*`) + "$")
		if got, want := NameMatches(pattern, name), re.MatchString(name); got != want {
			t.Fatalf("NameMatches(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func TestNoNamesRestrictNothing(t *testing.T) {
	if !(Publisher{}).Covers("ghcr.io/any/thing") {
		t.Error("a publisher without names does not cover a repository")
	}
	p := Publisher{Names: []string{"ghcr.io/a/*", "quay.io/b/c"}}
	for name, want := range map[string]bool{"ghcr.io/a/x": true, "quay.io/b/c": true, "quay.io/b/d": false} {
		if p.Covers(name) != want {
			t.Errorf("Covers(%q) = %v", name, !want)
		}
	}
}

func TestOnlyCanonicalNamesStandInRecords(t *testing.T) {
	for name, ok := range map[string]bool{
		"ghcr.io/home-assistant/core": true, "index.docker.io/library/alpine": true, "localhost:5000/core": true,
		"[::1]:5000/core": true, "127.0.0.1:5000/a/b_c": true, "": false, "ghcr.io/x/core:1": false, "ghcr.io/x/core@sha256": false,
		"ghcr.io//core": false, "/core": false, "core/": false, "ghcr.io/../core": false, "Ghcr.io/core": false,
		"ghcr.io/x/*": false, "ghcr.io/x/ä": false, "ghcr.io/x/a b": false, "core:1": false, strings.Repeat("a", 513): false,
	} {
		if err := checkRepository("name", name); (err == nil) != ok {
			t.Errorf("checkRepository(%q) = %v, want ok %v", name, err, ok)
		}
	}
}

func TestPlatformsAreInOCIForm(t *testing.T) {
	for s, ok := range map[string]bool{
		"linux/amd64": true, "linux/arm64/v8": true, "linux": false, "": false, "linux/": false, "/amd64": false,
		"linux/arm/v7/x": false, "Linux/amd64": false, "linux/am d64": false,
	} {
		if err := checkPlatform("platform", s); (err == nil) != ok {
			t.Errorf("checkPlatform(%q) = %v, want ok %v", s, err, ok)
		}
	}
}

func TestOriginsFitNotes(t *testing.T) {
	for s, ok := range map[string]bool{
		sampleLedger: true, "": false, "a b": false, "a+b": false, "a\nb": false, strings.Repeat("a", 256): false,
	} {
		if err := checkOrigin("ledger", s); (err == nil) != ok {
			t.Errorf("checkOrigin(%q) = %v, want ok %v", s, err, ok)
		}
	}
}
