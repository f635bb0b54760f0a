package rules

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// topLevel is everything that may stand at the top of the repository, besides names with a dot and what is built.
var topLevel = []string{
	"cmd", "supervisor", "addons", "trust", "updater", "config", "rootfs", "tests", "go.mod", "go.sum", "Makefile",
	"README.md", "LICENSE", "NOTICE", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "tools.mod", "tools.sum",
}

// built is what make and go leave behind; .gitignore names it too.
var built = []string{"bin", "coverage.out"}

func TestTopLevelIsTheAgreedOne(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) && !slices.Contains(built, name) &&
			!strings.HasSuffix(name, ".test") && !strings.HasSuffix(name, ".prof") {
			t.Errorf("%s stands at the top level; only %v may", name, topLevel)
		}
	}
	for _, name := range topLevel {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil && name != "addons" {
			t.Errorf("cannot find %s at the top level", name)
		}
	}
}

// forbidden must not stand in any text of the repository. The patterns are written so that they do not match themselves.
var forbidden = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a version that changes under us; pin it", regexp.MustCompile(`@` + `latest\b`)},
	{"a path of somebody's machine", regexp.MustCompile(`(^|[\s"'=(:,` + "`" + `])/(ho` + `me|Us` + `ers|wo` + `rk|ro` + `ot/go)/[A-Za-z0-9_.-]+/`)},
	{"an open end; finish it, or open an issue", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)},
}

func TestTextsHoldNothingForbidden(t *testing.T) {
	eachFile(t, func(name string, data []byte) {
		if filepath.Base(name) == "go.sum" || filepath.Base(name) == "tools.sum" || bytes.IndexByte(data, 0) >= 0 {
			return
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			for _, f := range forbidden {
				if found := f.pattern.Find(line); found != nil {
					t.Errorf("%s:%d: %q is %s", name, i+1, found, f.what)
				}
			}
		}
	})
}

// eachFile calls fn with every file of the repository that is neither hidden nor built nor a fuzzing corpus.
func eachFile(t *testing.T, fn func(name string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && name != "." && d.Name() != ".ci"
		if hidden || slices.Contains(built, name) || strings.HasSuffix(path, "testdata/fuzz") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fn(name, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// parsed are the files of a package that are no tests.
func parsed(t *testing.T, p pkg) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return set, files
}

func TestEveryPackageHasOneDocComment(t *testing.T) {
	for _, p := range packages(t) {
		_, files := parsed(t, p)
		var docs []string
		for _, f := range files {
			if f.Doc != nil {
				docs = append(docs, f.Doc.Text())
			}
		}
		if len(files) > 0 && len(docs) != 1 {
			t.Errorf("%s has %d package comments, want one", p.name(), len(docs))
			continue
		}
		if len(docs) == 1 && p.Name != "main" && !strings.HasPrefix(docs[0], "Package "+p.Name+" ") {
			t.Errorf("the comment of %s does not begin with %q", p.name(), "Package "+p.Name)
		}
	}
}

// maxMethods is how many methods an interface may have: what is larger is two.
const maxMethods = 7

func TestInterfacesAreSmall(t *testing.T) {
	for _, p := range packages(t) {
		set, files := parsed(t, p)
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxMethods {
					t.Errorf("%s: %s has %d methods, at most %d are allowed; split it by use", set.Position(spec.Pos()), spec.Name, i.Methods.NumFields(), maxMethods)
				}
				return true
			})
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		set, files := parsed(t, p)
		for _, f := range files {
			for _, d := range f.Decls {
				for _, id := range undocumented(d) {
					t.Errorf("%s: %s has no comment", set.Position(id.Pos()), id.Name)
				}
			}
		}
	}
}

// selfEvident are methods that say what their interface says.
var selfEvident = []string{"Error", "Unwrap"}

// undocumented are the exported names of a declaration that no comment speaks of: none of their own, none on the line,
// and none on the group they stand in.
func undocumented(d ast.Decl) (out []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && !slices.Contains(selfEvident, d.Name.Name) && (d.Recv == nil || exportedReceiver(d.Recv)) {
			out = append(out, d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					out = append(out, s.Name)
				}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					if id.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						out = append(out, id)
					}
				}
			}
		}
	}
	return out
}

func exportedReceiver(list *ast.FieldList) bool {
	typ := list.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// maxLines is where a file wants a reason; it is told and does not fail, see `go test -v`.
const maxLines = 400

func TestLongFilesAreTold(t *testing.T) {
	eachFile(t, func(name string, data []byte) {
		if n := bytes.Count(data, []byte("\n")); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && n > maxLines {
			t.Logf("%s has %d lines, more than %d want a reason", name, n, maxLines)
		}
	})
}
