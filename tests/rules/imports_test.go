package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/castellan/castellan"

// mayImport is the direction of the house: package -> our packages it may import. "*" is all, "x/..." is x and below.
// A package without a row fails. Tests may import what the row allows, the package itself, and what testMayImport adds.
var mayImport = map[string][]string{
	"config":         {},
	"config/durable": {},

	"trust":               {"config/durable"},
	"trust/ledger":        {"trust", "config/durable"},
	"trust/ledger/server": {"trust", "trust/ledger", "config/durable"},
	"trust/artifact":      {"trust", "config/durable"},
	"trust/sbom":          {"trust", "config/durable"},
	"trust/audit":         {"trust", "config/durable"},
	"trust/house":         {"trust", "config/durable"},
	"trust/trusttest":     {"trust", "trust/ledger", "config/durable"}, // test support

	"updater":           {"trust"},
	"updater/decisions": {"updater", "config/durable"}, // what the owner decided of updates; durable in tests
	"updater/registry":  {"trust", "updater"},

	"addons":           {"updater", "supervisor/spec"},
	"addons/store":     {"addons", "updater", "config/durable"},                    // repositories
	"addons/lifecycle": {"addons", "updater", "supervisor/spec", "config/durable"}, // what is installed and how it lives
	"addons/services":  {"addons", "config/durable"},                               // what add-ons offer each other
	"addons/habackup":  {"addons", "config/durable"},                               // Home Assistant's backup files

	"supervisor/spec":           {},
	"supervisor/state":          {"config/durable"},
	"supervisor/health":         {"supervisor/spec"},
	"supervisor":                {"config", "trust", "trust/audit", "updater", "supervisor/spec", "supervisor/state", "supervisor/health"},
	"supervisor/engine":         {"supervisor", "supervisor/spec", "trust"},
	"supervisor/backup":         {"supervisor", "supervisor/spec", "trust", "config/durable"},
	"supervisor/backup/archive": {"config/durable"}, // backups for people
	"supervisor/jobs":           {},
	"supervisor/events":         {},
	"supervisor/watch":          {"supervisor", "supervisor/spec", "supervisor/health", "trust"},

	"supervisor/access":         {"config/durable"}, // who may call from the network
	"supervisor/access/tlscert": {"config/durable"},

	"supervisor/api":        {"supervisor/...", "trust/...", "updater/...", "config/...", "addons", "addons/services"},
	"supervisor/api/client": {"supervisor/api", "supervisor/spec", "trust"},
	"supervisor/support":    {"supervisor/api", "supervisor/api/client", "config", "trust/audit"}, // support bundles
	"supervisor/web":        {"supervisor/...", "trust/...", "updater/...", "config/...", "addons"},

	"cmd/cas":         {"trust/...", "config/durable"},
	"cmd/castellan":   {"*"},
	"cmd/demo":        {"*"},
	"cmd/demo/sample": {},

	"tests/report":       {},
	"tests/rules":        {},
	"tests/bench":        {"*"},
	"tests/browser":      {},
	"tests/house":        {"*"},
	"tests/testenv":      {"trust", "config/durable"},
	"tests/testenv/app":  {},
	"tests/testenv/core": {},
}

// testMayImport is what the tests of any package may import besides.
var testMayImport = []string{"tests/testenv", "trust/trusttest"}

// onlyIn names the importers of a library: in production code, and in tests besides those.
var onlyIn = []struct {
	library     string
	code, tests []string
}{
	{"github.com/codenotary/immudb", []string{"trust/ledger", "trust/ledger/server", "trust/trusttest"}, nil},
	{"github.com/docker/docker", []string{"supervisor/engine"}, nil},
	{"github.com/coder/websocket", []string{"supervisor/health", "supervisor/api", "tests/testenv/app", "tests/testenv/core"}, []string{"tests/house"}},
	{"github.com/go-git/go-git", []string{"addons/store"}, nil},
	{"go.etcd.io/bbolt", []string{"supervisor/state"}, nil},
	{"github.com/danielgtaylor/huma", []string{"supervisor/api"}, nil}, // describes the API; it routes nothing
	{"golang.org/x/crypto/argon2", []string{"supervisor/access"}, nil},
	{"github.com/google/go-containerregistry", // in the daemon, updater/registry alone; the others are cas and test support
		[]string{"updater/registry", "trust/artifact", "cmd/demo", "tests/testenv"},
		[]string{"cmd/cas", "supervisor/engine", "tests/bench"}},
	{"github.com/chromedp", []string{"tests/browser"}, nil},
	{"testing", []string{"trust/trusttest", "tests/browser", "tests/testenv"}, []string{"*"}},
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath                         string
	Name                               string
	Dir                                string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// name is the path within the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// listed tells whether a row of names and patterns holds name.
func listed(row []string, name string) bool {
	return slices.ContainsFunc(row, func(pattern string) bool {
		below, tree := strings.CutSuffix(pattern, "/...")
		return pattern == "*" || pattern == name || tree && (name == below || strings.HasPrefix(name, below+"/"))
	})
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		row, ok := mayImport[p.name()]
		if !ok {
			t.Errorf("%s has no row in mayImport: say what it may import", p.name())
			continue
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok && !listed(row, ours) {
				t.Errorf("%s imports %s; it may import only %v: declare an interface and let cmd hand it in", p.name(), ours, row)
			}
		}
		testRow := append(append(slices.Clone(row), testMayImport...), p.name()+"/...")
		for _, path := range append(p.TestImports, p.XTestImports...) {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok && !listed(testRow, ours) {
				t.Errorf("the tests of %s import %s; they may import only %v", p.name(), ours, testRow)
			}
		}
	}
}

func TestLargeLibrariesStayInTheirPackages(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range onlyIn {
			is := func(path string) bool { return path == rule.library || strings.HasPrefix(path, rule.library+"/") }
			if slices.ContainsFunc(p.Imports, is) && !listed(rule.code, p.name()) {
				t.Errorf("%s imports %s; only %v may", p.name(), rule.library, rule.code)
			}
			inTests := append(slices.Clone(rule.code), rule.tests...)
			if slices.ContainsFunc(append(p.TestImports, p.XTestImports...), is) && !listed(inTests, p.name()) {
				t.Errorf("the tests of %s import %s; only those of %v may", p.name(), rule.library, inTests)
			}
		}
	}
}
