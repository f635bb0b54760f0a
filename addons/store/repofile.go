package store

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"golang.org/x/mod/sumdb/note"
)

// repositoryFiles are looked for in this order.
var repositoryFiles = []string{"repository.yaml", "repository.yml", "repository.json"}

// repositoryFile is what a repository says of itself.
type repositoryFile struct {
	Name       string `json:"name,omitempty"`
	URL        string `json:"url,omitempty"`
	Maintainer string `json:"maintainer,omitempty"`

	Ledger     *Ledger           `json:"ledger,omitempty"`
	Publishers map[string]string `json:"publishers,omitempty"` // add-on -> publisher
	// Extension is what is wrong with the castellan object, "" = nothing. It has no word in the rest of the file.
	Extension string `json:"extension,omitempty"`
}

// extension is the castellan object.
type extension struct {
	Ledger     *extensionLedger  `yaml:"ledger"`
	Publishers map[string]string `yaml:"publishers"`
}

type extensionLedger struct {
	Origin string   `yaml:"origin"`
	Keys   []string `yaml:"keys"`
	URLs   []string `yaml:"urls"`
}

// parseRepositoryFile reads repository.yaml or repository.json, which is YAML too. Unknown keys are dropped, as Home
// Assistant does.
func parseRepositoryFile(data []byte) (f repositoryFile, err error) {
	if err := plainText(data); err != nil {
		return f, err
	}
	defer func() { // the YAML library must not take the daemon down over a stranger's file
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML in it cannot be read (%s)", clean(fmt.Sprint(r)))
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return f, errors.New(clean(strings.SplitN(yaml.FormatError(err, false, false), "\n", 2)[0]))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return f, errors.New("it is empty")
	}
	body := file.Docs[0].Body
	v := &anchors{}
	if ast.Walk(v, body); v.found {
		return f, errors.New("anchors, aliases and tags are not supported in it")
	}
	keys := map[string]ast.Node{}
	switch m := body.(type) {
	case *ast.MappingNode:
		for _, kv := range m.Values {
			keys[kv.Key.GetToken().Value] = kv.Value
		}
	case *ast.MappingValueNode:
		keys[m.Key.GetToken().Value] = m.Value
	default:
		return f, errors.New("it is not a list of keys and values")
	}
	for key, to := range map[string]*string{"name": &f.Name, "url": &f.URL, "maintainer": &f.Maintainer} {
		node, ok := keys[key]
		if !ok || node.Type() == ast.NullType {
			continue
		}
		if node.Type() != ast.StringType && node.Type() != ast.LiteralType {
			return f, fmt.Errorf("%s is not a text", key)
		}
		if err := yaml.NodeToValue(node, to); err != nil {
			return f, fmt.Errorf("%s cannot be read", key)
		}
		if *to = strings.TrimSpace(*to); len(*to) > 500 || clean(*to) != strings.Join(strings.Fields(*to), " ") {
			return f, fmt.Errorf("%s is longer than 300 characters or has control characters", key)
		}
	}
	if f.Name == "" {
		return f, errors.New("it has no name")
	}
	if f.URL != "" {
		if u, err := url.Parse(f.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return f, fmt.Errorf("url %q is no web address", clean(f.URL))
		}
	}
	if node, ok := keys["castellan"]; ok {
		if err := f.extend(node); err != nil {
			f.Ledger, f.Publishers, f.Extension = nil, nil, "castellan: "+clean(err.Error())
		}
	}
	return f, nil
}

// plainText refuses what could exhaust the YAML library, which recurses.
func plainText(data []byte) error {
	switch {
	case len(data) > maxRepositoryFile:
		return fmt.Errorf("it is larger than %d bytes", maxRepositoryFile)
	case !utf8.Valid(data):
		return errors.New("it is not UTF-8")
	}
	nested := 0
	for line := range strings.Lines(string(data)) {
		for i := range len(line) {
			switch c := line[i]; {
			case c == '[' || c == '{':
				nested++
			case (c == ']' || c == '}') && nested > 0:
				nested--
			case c < ' ' && c != '\t' && c != '\r' && c != '\n', c == 0x7f:
				return errors.New("it has control characters")
			}
		}
		if nested > 32 || len(line)-len(strings.TrimLeft(line, " -?")) > 128 {
			return errors.New("it is nested more than 32 deep")
		}
	}
	return nil
}

type anchors struct{ found bool }

func (v *anchors) Visit(n ast.Node) ast.Visitor {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		v.found = true
	}
	return v
}

var (
	addonSlug   = regexp.MustCompile(`^[-_.A-Za-z0-9]+$`)
	publisherID = regexp.MustCompile(`^p-[a-z2-7]{20}$`)
)

// extend reads the castellan object, strictly: half a ledger is none.
func (f *repositoryFile) extend(node ast.Node) error {
	var e extension
	if err := yaml.NodeToValue(node, &e, yaml.Strict()); err != nil {
		return errors.New(strings.SplitN(yaml.FormatError(err, false, false), "\n", 2)[0])
	}
	if len(e.Publishers) > maxPublishers {
		return fmt.Errorf("%d publishers, the limit is %d", len(e.Publishers), maxPublishers)
	}
	for slug, p := range e.Publishers {
		if !addonSlug.MatchString(slug) || len(slug) > maxContainerName || !publisherID.MatchString(p) {
			return fmt.Errorf("publishers: %.100q: %.100q is not an add-on with its publisher, as mosquitto: p-…", slug, p)
		}
	}
	f.Publishers = e.Publishers
	if e.Ledger == nil {
		return nil
	}
	l := Ledger(*e.Ledger)
	if l.Origin == "" || len(l.Origin) > 255 || strings.ContainsAny(l.Origin, " \t\u00a0+") || clean(l.Origin) != l.Origin {
		return fmt.Errorf("ledger: %.100q is not an origin, as ledger.example.org/main", l.Origin)
	}
	if n := len(l.Keys); n == 0 || n > maxLedgerKeys {
		return fmt.Errorf("ledger: %d keys, want 1 to %d", n, maxLedgerKeys)
	}
	for _, k := range l.Keys {
		if _, err := note.NewVerifier(k); err != nil {
			return fmt.Errorf("ledger: %.100q is not a verifier key", k)
		}
	}
	if n := len(l.URLs); n == 0 || n > maxLedgerAddresses {
		return fmt.Errorf("ledger: %d urls, want 1 to %d", n, maxLedgerAddresses)
	}
	for _, s := range l.URLs {
		if u, err := url.Parse(s); err != nil || len(s) > 500 || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("ledger: %.100q is not a mirror, as https://ledger.example.org", s)
		}
	}
	f.Ledger = &l
	return nil
}
