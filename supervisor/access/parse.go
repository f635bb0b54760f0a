package access

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/go-json-experiment/json"
)

const nextStep = "bring the file back from a backup and restart, or run castellan user reset on the appliance, which keeps it aside and begins anew"

var errDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", errDamaged, fmt.Sprintf(format, args...), nextStep)
}

// parse reads the file strictly: it holds what this package writes, or it is damaged. Errors show nothing secret of
// it. old tells that it was of an older format.
func parse(b []byte) (s state, old bool, err error) {
	if len(b) > maxBytes {
		return s, false, damaged("larger than %d bytes", maxBytes)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return s, false, damaged("%s", place(err))
	}
	switch {
	case head.Format > format:
		return s, false, fmt.Errorf("format %d, this program reads up to %d; install the version of castellan that wrote it, "+
			"or run castellan user reset on the appliance, which keeps the file aside and begins anew", head.Format, format)
	case head.Format == 1:
		s, err = parseFormat1(b)
		old = true
	case head.Format == format:
		err = strict(b, &s)
	default:
		return s, false, damaged("format %d is none", head.Format)
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return state{}, false, damaged("%v", err)
	}
	return s, old, nil
}

func strict(b []byte, v any) error {
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return errors.New(place(err))
	}
	return nil
}

// place says where, and not what: decoders quote what they could not read.
func place(err error) string {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return fmt.Sprintf("unfitting JSON at byte %d (%.100q)", semantic.ByteOffset, string(semantic.JSONPointer))
	}
	return "it is not the JSON that was written"
}

var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)
	validID   = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// check holds what every writing keeps true. A file without an admin is damaged: the last one is never removed.
func (s *state) check() error {
	switch {
	case s.Users == nil || s.Sessions == nil || s.Tokens == nil || s.Mark.IsZero():
		return errors.New("a part is missing")
	case len(s.Users) > MaxUsers || len(s.Sessions) > MaxUsers*MaxSessionsPerUser || len(s.Tokens) > MaxTokens:
		return errors.New("more users, sessions or tokens than there can be")
	case s.admins() == 0:
		return errors.New("no admin")
	}
	names, ids, hashes := map[string]int{}, map[string]bool{}, map[digest]bool{}
	for i, u := range s.Users {
		_, ok := parsePHC(u.Password)
		if _, twice := names[u.Name]; !ok || twice || !validName.MatchString(u.Name) || !u.Role.Valid() || len(u.Known) > maxKnown || u.Created.IsZero() {
			return fmt.Errorf("user %d", i)
		}
		for _, k := range u.Known {
			if !k.IsValid() || k != bare(k) {
				return fmt.Errorf("user %d", i)
			}
		}
		names[u.Name] = 0
	}
	fresh := func(id string, h digest) bool {
		ok := validID.MatchString(id) && !ids[id] && !hashes[h] && h != digest{}
		ids[id], hashes[h] = true, true
		return ok
	}
	for i, v := range s.Sessions {
		if _, ok := names[v.User]; !ok || !fresh(v.ID, v.Hash) || v.From != bare(v.From) || v.Agent != label(v.Agent) ||
			v.Created.IsZero() || v.Seen.IsZero() || names[v.User] == MaxSessionsPerUser {
			return fmt.Errorf("session %d", i)
		}
		names[v.User]++
	}
	labels := map[[2]string]bool{}
	for i, v := range s.Tokens {
		k := [2]string{v.User, v.Name}
		if _, ok := names[v.User]; !ok || labels[k] || !fresh(v.ID, v.Hash) || !v.Role.Valid() || v.Name == "" || v.Name != label(v.Name) ||
			!validPrefix.MatchString(v.Prefix) || v.Created.IsZero() {
			return fmt.Errorf("token %d", i)
		}
		labels[k] = true
	}
	return nil
}
