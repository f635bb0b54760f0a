package web

import (
	"io"
	"regexp"
	"strings"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/updater"
)

// news is what an update brings, out of a changelog.
type news struct {
	Kind   string // breaking, features, fixes; "" = it can't be told
	Blocks []mdBlock
	Whole  bool // the versions could not be told apart: the beginning of the file
}

// Limits on what is shown of a changelog.
const (
	mostChangelog = 96 << 10 // bytes that are read; the newest version stands first
	mostNews      = 400      // blocks
	underNews     = 2        // the level of the heading above it on a page
	someNews      = 40       // where versions can't be told apart
)

// versionIn finds the version in a heading: "## [1.2.3] - 2026-01-02", "v1.2".
var versionIn = regexp.MustCompile(`(?:^|[\s\[(v])(\d+(?:\.\d+)+[^\s\])]*)`)

// newsOf reads what the changelog of an add-on says of the way from one version to another; nil when it has none.
func (v *visit) newsOf(slug, from, to string) *news {
	f, err := v.api.AddonFile(v.ctx(), slug, api.FileChangelog)
	if err != nil {
		return nil // it has none, or its repository is away: the update can be taken without
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostChangelog))
	if err != nil || len(b) == 0 {
		return nil
	}
	n := between(markdown(string(b), underNews), from, to)
	return &n
}

// between takes the versions after from up to to out of a changelog.
func between(blocks []mdBlock, from, to string) news {
	var out news
	take, found := false, false
	for _, b := range blocks {
		if m := versionIn.FindStringSubmatch(" " + b.Plain()); b.Kind == "heading" && m != nil {
			after, ok1 := updater.CompareVersions(m[1], from)
			upTo, ok2 := updater.CompareVersions(m[1], to)
			take = from == "" && upTo == 0 || ok1 && ok2 && after > 0 && upTo <= 0
			found = found || take
		}
		if take && len(out.Blocks) < mostNews {
			out.Blocks = append(out.Blocks, b)
		}
	}
	if !found {
		out.Blocks, out.Whole = blocks[:min(len(blocks), someNews)], true
		return out
	}
	out.Kind = kindOf(out.Blocks)
	lift(out.Blocks)
	return out
}

// lift has the headings of a part begin where those of the whole did: what stood above them is not shown.
func lift(blocks []mdBlock) {
	by := blocks[0].Level - (underNews + 1) // a part begins with a heading
	for i := range blocks {
		if blocks[i].Kind == "heading" {
			blocks[i].Level = max(underNews+1, blocks[i].Level-by)
		}
	}
}

var (
	saysBreaking = regexp.MustCompile(`(?i)\bbreaking\b|💥|⚠`)
	saysFeature  = regexp.MustCompile(`(?i)^\W*(?:add(?:s|ed)?|new|features?|introduces?d?|support(?:s|ed)? |allows?|implements?e?d?)\b|✨`)
	saysFix      = regexp.MustCompile(`(?i)^\W*(?:fix(?:es|ed)?|bug ?fix(?:es)?|security|correct(?:s|ed)?|resolves?d?)\b|🐛`)
)

// kindOf tells from the words whether an update breaks something, brings something, or only mends. An update of parts counts
// as neither.
func kindOf(blocks []mdBlock) string {
	kind := ""
	var look func([]mdBlock)
	look = func(list []mdBlock) {
		for _, b := range list {
			text := strings.TrimSpace(b.Plain())
			switch {
			case saysBreaking.MatchString(text):
				kind = "breaking"
			case kind != "breaking" && saysFeature.MatchString(text):
				kind = "features"
			case kind == "" && saysFix.MatchString(text):
				kind = "fixes"
			}
			for _, item := range b.Items {
				look(item)
			}
		}
	}
	look(blocks)
	return kind
}
