package services

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"github.com/go-json-experiment/json"

	"github.com/castellan/castellan/config/durable"
)

// format is the version of the file. A newer one is refused: an older program would drop what it can't read.
const format = 1

// maxBytes bounds the file, for reading as for writing: what was written can be read again.
const maxBytes = 4 << 20

// state is the file.
type state struct {
	Format   int                `json:"format"`
	Services map[string]Service `json:"services"`
	Messages []Message          `json:"discovery"`
}

// Init makes the registry of a new appliance. It fails when there is one.
func Init(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("cannot initialise the services of add-ons %s: it exists; remove it only to make every add-on offer its services anew", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot initialise the services of add-ons: %w", err)
	}
	if err := write(path, state{Format: format, Services: map[string]Service{}, Messages: []Message{}}); err != nil {
		return fmt.Errorf("cannot initialise the services of add-ons: %w", err)
	}
	return nil
}

// Open reads the registry. A missing, damaged or newer file is an error that says what the owner does next.
func Open(path string) (*Registry, error) {
	b, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the services of add-ons: %w", err)
	}
	st, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("cannot open the services of add-ons %s: %w; bring it back from a backup, or move it away, "+
			"initialise it anew and restart the add-ons that provide services", path, err)
	}
	return &Registry{path: path, state: st}, nil
}

func read(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; bring it back from a backup, or initialise it anew and restart the add-ons that provide services", err)
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file; move it away and bring the file back from a backup", path)
	case fi.Mode().Perm()&0o077 != 0: // as a careless restore leaves it; it holds passwords
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

func write(path string, s state) error {
	b, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return errors.New("its content is no JSON") // the library's error could show some of it
	}
	if len(b) >= maxBytes {
		return refuse(ErrInvalid, "%d bytes, the limit is %d; uninstall add-ons that are not needed", len(b), maxBytes)
	}
	return durable.WriteFile(path, append(b, '\n'), 0o600)
}

var (
	validUUID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	validSlug = regexp.MustCompile(`^[-_.A-Za-z0-9]{1,128}$`)
)

// parse reads the file strictly: it holds what this package writes, or it is damaged. Errors show nothing of it.
func parse(b []byte) (state, error) {
	if len(b) > maxBytes {
		return state{}, fmt.Errorf("larger than %d bytes", maxBytes)
	}
	if len(b) == 0 {
		return state{}, errors.New("it is empty")
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err == nil && head.Format > format {
		return state{}, fmt.Errorf("format %d, this program reads format %d: install the version of castellan that wrote it", head.Format, format)
	}
	var s state
	if err := decode(b, &s); err != nil {
		return state{}, err
	}
	if s.Format != format || s.Services == nil || s.Messages == nil {
		return state{}, errors.New("format, services or discovery is missing")
	}
	if len(s.Messages) > maxMessages {
		return state{}, fmt.Errorf("%d discovery messages, the limit is %d", len(s.Messages), maxMessages)
	}
	for name, v := range s.Services {
		if err := errors.Join(known(name), v.check(name)); err != nil {
			return state{}, fmt.Errorf("service %.40q: %w", name, err)
		}
		if !validSlug.MatchString(v.Addon) {
			return state{}, fmt.Errorf("service %s: no add-on's name @ /addon", name)
		}
	}
	type key struct{ addon, service string }
	uuids, pairs := map[string]bool{}, map[key]bool{}
	for i, m := range s.Messages {
		c, err := ParseConfig(m.Config)
		k := key{m.Addon, m.Service}
		switch {
		case err != nil:
			return state{}, fmt.Errorf("discovery message %d: %w", i, err)
		case !validUUID.MatchString(m.UUID), !validSlug.MatchString(m.Addon), !validSlug.MatchString(m.Service):
			return state{}, fmt.Errorf("discovery message %d: no uuid, add-on or service", i)
		case uuids[m.UUID], pairs[k]:
			return state{}, fmt.Errorf("discovery message %d: its uuid, or its add-on and service, is there twice", i)
		}
		uuids[m.UUID], pairs[k] = true, true
		s.Messages[i].Config = c
	}
	return s, nil
}
