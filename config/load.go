package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits on the file. They keep a hostile or mistaken file from exhausting the parser, which recurses.
const (
	maxBytes  = 256 << 10
	maxLine   = 4 << 10
	maxNested = 64
)

// Error is one mistake in the file, at a line and column counted from 1; 0 when the mistake has no place.
type Error struct {
	File   string
	Line   int
	Column int
	What   string // what is wrong and what to write instead
	source string // the line
}

// Error shows file, line and the line itself with a caret under the mistake.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("cannot load %s: %s", e.File, e.What)
	}
	s := fmt.Sprintf("cannot load %s: line %d: %s", e.File, e.Line, e.What)
	if e.source == "" || len(e.source) > 200 {
		return s
	}
	prefix := fmt.Sprintf("%5d | ", e.Line)
	return s + "\n" + prefix + e.source + "\n" + strings.Repeat(" ", len(prefix)+max(e.Column-1, 0)) + "^"
}

// Load reads and checks the file, and that the files it names are there. The error is an *[Error] unless the file
// itself cannot be read.
func Load(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return load(path, data)
}

func load(path string, data []byte) (*Config, error) {
	if len(bytes.TrimSpace(data)) == 0 { // half-way through being written, or cut off: not "no services any more"
		return nil, &Error{File: path, What: "it is empty; write at least the line services: []"}
	}
	p, c, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	if err := p.files(c); err != nil {
		return nil, err
	}
	set(&c.Addons.Timezone, hostZone("/etc"))
	return c, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; write one, or name another with --config", err)
		}
		return nil, fmt.Errorf("cannot load configuration: %w", err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot load %s: it is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot load configuration: %w", err)
	}
	return data, nil
}

// Parse checks the content of a file and fills in the defaults; name is for messages. It looks at nothing else.
func Parse(name string, data []byte) (*Config, error) {
	_, c, err := parse(name, data)
	return c, err
}

func parse(name string, data []byte) (_ *source, _ *Config, err error) {
	src := &source{name: name, lines: strings.Split(string(data), "\n")}
	if err := src.limits(data); err != nil {
		return nil, nil, err
	}
	defer func() { // the YAML library must not take the daemon down over a file its owner is just editing
		if r := recover(); r != nil {
			err = src.at(0, 0, "the YAML in it cannot be read (%v); write it more plainly", r)
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, nil, src.yamlError(err)
	}
	if err := src.plain(file); err != nil {
		return nil, nil, err
	}
	src.file = file
	var c Config
	if len(file.Docs) > 0 && file.Docs[0].Body != nil { // otherwise it is empty: all defaults
		if err := src.scalars(file.Docs[0].Body); err != nil {
			return nil, nil, err
		}
		// Strict refuses unknown and repeated keys.
		if err := yaml.NodeToValue(file.Docs[0].Body, &c, yaml.Strict()); err != nil {
			return nil, nil, src.yamlError(err)
		}
	}
	c.setDefaults()
	if err := src.check(&c); err != nil {
		return nil, nil, err
	}
	return src, &c, nil
}

// source is the file as text, to point at mistakes.
type source struct {
	name  string
	lines []string
	file  *ast.File
}

// at makes an error at a place; 0 for line means none.
func (s *source) at(line, column int, format string, args ...any) error {
	e := &Error{File: s.name, Line: line, Column: column, What: fmt.Sprintf(format, args...)}
	if line >= 1 && line <= len(s.lines) {
		e.source = strings.TrimRight(s.lines[line-1], "\r")
		if column > len(e.source)+1 {
			e.Column = len(e.source) + 1
		}
	}
	return e
}

// field makes an error at the value of a path as "$.services[0].name", or at the nearest key above it that is there.
func (s *source) field(path, format string, args ...any) error {
	what := strings.TrimPrefix(path, "$.") + ": " + fmt.Sprintf(format, args...)
	for path != "$" && path != "" {
		if p, err := yaml.PathString(path); err == nil {
			if node, err := p.FilterFile(s.file); err == nil && node != nil && node.GetToken() != nil {
				pos := node.GetToken().Position
				return s.at(pos.Line, pos.Column, "%s", what)
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return s.at(0, 0, "%s", what)
}

// limits refuses what could exhaust the parser.
func (s *source) limits(data []byte) error {
	if len(data) > maxBytes {
		return s.at(0, 0, "it is larger than %d bytes", maxBytes)
	}
	nested := 0
	for i, line := range s.lines {
		if len(line) > maxLine {
			return s.at(i+1, 0, "the line is longer than %d bytes; split it", maxLine)
		}
		for j := range len(line) {
			switch c := line[j]; {
			case c == '[' || c == '{':
				nested++
			case (c == ']' || c == '}') && nested > 0:
				nested--
			case c < ' ' && c != '\t' && c != '\r', c == 0x7f:
				return s.at(i+1, 0, "control character %#02x at byte %d; is this a text file?", c, j+1)
			}
		}
		if nested > maxNested || len(line)-len(strings.TrimLeft(line, " -?")) > 4*maxNested {
			return s.at(i+1, 0, "nested more than %d deep", maxNested)
		}
	}
	return nil
}
