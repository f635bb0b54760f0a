package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/castellan/castellan/trust"
)

// TestHelpOfEveryReason: each reason of the Judge has a whole page in each language, and one that can be forced says what is
// known and what is not. An outage is nowhere called an attack.
func TestHelpOfEveryReason(t *testing.T) {
	for _, lang := range languages {
		w := newViews(lang)
		if w.err != nil {
			t.Fatal(w.err)
		}
		for _, m := range trust.Reasons() {
			fields := []string{"title", "what", "danger", "self", "you"}
			if m.Force != trust.ForceNo {
				fields = append(fields, "known", "unknown")
			}
			for _, f := range fields {
				text, ok := w.words["help_trust."+string(m.Reason)+"."+f]
				if !ok || text[0] == "" {
					t.Errorf("%s has no %q in %s", m.Reason, f, lang)
					continue
				}
				if low := strings.ToLower(text[0]); m.Outcome != trust.Refuse && (strings.Contains(low, "attack") || strings.Contains(low, "angriff")) &&
					!strings.HasPrefix(low, "no ") && !strings.HasPrefix(low, "kein ") {
					t.Errorf("%s in %s calls an outage an attack: %q", m.Reason, lang, text[0])
				}
			}
		}
	}
}

// sources are the places of the program that answer with codes, and how they write them.
var sources = []struct {
	files string
	code  *regexp.Regexp
}{
	{"../../updater/plan.go", regexp.MustCompile(`\n\tSkip[A-Za-z]+\s+= "([a-z-]+)"`)},
	{"../api/*.go", regexp.MustCompile(`[kK]ey: *"([a-z_]+)"`)},
	{"../api/*.go", regexp.MustCompile(`Key[A-Z][A-Za-z]* *= "([a-z_]+)"`)},
	{"../api/visitor.go", regexp.MustCompile(`access\.Err[A-Za-z]+, \d+, "([a-z_]+)"`)},
	{"../api/client/*.go", regexp.MustCompile(`Key: *"([a-z_]+)"`)},
	{"../../cmd/castellan/*.go", regexp.MustCompile(`Key: *"([a-z_]+)"`)},
	{"*.go", regexp.MustCompile(`Key: *"([a-z_]+)"`)},
	{"../step.go", regexp.MustCompile(`State[A-Z][A-Za-z]+ +State += "(refused|deferred|rolled-back|abandoned|stuck)"`)},
}

// TestHelpOfEveryCode: whatever code the program answers with has a page.
func TestHelpOfEveryCode(t *testing.T) {
	w := newViews("en")
	for _, s := range sources {
		files, err := filepath.Glob(s.files)
		if err != nil || len(files) == 0 {
			t.Fatalf("no source %s: %v", s.files, err)
		}
		found := 0
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range s.code.FindAllStringSubmatch(string(b), -1) {
				found++
				if !hasHelp(w, m[1]) {
					t.Errorf("%s answers with %q, which no page tells of", f, m[1])
				}
			}
		}
		if found == 0 {
			t.Errorf("no code in %s is written as %v", s.files, s.code)
		}
	}
}

func hasHelp(w *views, code string) bool {
	for _, room := range helpRooms {
		if _, ok := w.words[room+"."+code+".title"]; ok {
			return true
		}
	}
	return false
}

// TestHelpIsWhole: each code of the catalogue has what its page shows.
func TestHelpIsWhole(t *testing.T) {
	w := newViews("en")
	for _, room := range helpRooms {
		for _, code := range w.codes(room) {
			for _, f := range []string{"what", "you"} {
				if _, ok := w.words[room+"."+code+"."+f]; !ok {
					t.Errorf("%s.%s has no %q", room, code, f)
				}
			}
			if !codeShape.MatchString(code) {
				t.Errorf("%s.%s can't be in an address", room, code)
			}
		}
	}
}
