package services

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/castellan/castellan/addons"
)

// maxMessages bounds the discovery messages of all add-ons together.
const maxMessages = 1000

// Registry is what add-ons offer and announce. It is safe for concurrent use; a call that changes it returns nil once
// the change is on disk.
//
// Trust statement: the file is believed. Whoever can write it can lead add-ons that trust each other to another broker
// or database; no image comes in and no right grows by it. A missing file is an error; only [Init] makes one.
type Registry struct {
	path  string
	mu    sync.Mutex
	state state
}

// Provide keeps slug as the provider of a service; body is what the add-on sent. The provider may send again; another
// add-on has to wait until it withdraws.
func (r *Registry) Provide(slug string, m addons.Manifest, service string, body []byte) error {
	if err := known(service); err != nil {
		return err
	}
	if !Provides(m, service) {
		return refuse(ErrNoRight, "No access to write %s service! The manifest has to list services: %s:provide", service, service)
	}
	s, err := ParseService(service, body)
	if err != nil {
		return err
	}
	if s.Addon = slug; !validSlug.MatchString(slug) { // the file could not be read again
		return refuse(ErrInvalid, "%.40q is no add-on's name", slug)
	}
	return r.change(func(st *state) (bool, error) {
		if old, ok := st.Services[service]; ok && old.Addon != slug {
			return false, refuse(ErrTaken, "There is already a %s service in use from %s; uninstall one of the two", service, old.Addon)
		} else if ok && old.same(s) {
			return false, nil
		}
		st.Services[service] = s
		return true, nil
	})
}

// Withdraw ends what slug provides.
func (r *Registry) Withdraw(slug string, m addons.Manifest, service string) error {
	if err := known(service); err != nil {
		return err
	}
	if !Provides(m, service) {
		return refuse(ErrNoRight, "No access to write %s service! The manifest has to list services: %s:provide", service, service)
	}
	return r.change(func(st *state) (bool, error) {
		switch old, ok := st.Services[service]; {
		case !ok:
			return false, refuse(ErrNone, "Can't remove not exists services: nobody provides %s", service)
		case old.Addon != slug:
			return false, refuse(ErrNoRight, "No access to write %s service! It is provided by %s", service, old.Addon)
		}
		delete(st.Services, service)
		return true, nil
	})
}

// Use gives an add-on the access to a service that its manifest provides, wants or needs.
func (r *Registry) Use(m addons.Manifest, service string) (Service, error) {
	if err := known(service); err != nil {
		return Service{}, err
	}
	if use(m, service) == "" {
		return Service{}, refuse(ErrNoRight, "No access to %s service! The manifest has to list services: %s:want", service, service)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.state.Services[service]
	if !ok {
		return Service{}, refuse(ErrNone, "Service not enabled: nobody provides %s", service)
	}
	return s, nil
}

// Provider is the slug of the add-on that provides a service, "" when there is none.
func (r *Registry) Provider(service string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Services[service].Addon
}

// Announce keeps a discovery message of slug and gives its uuid, which stays the same as long as the message is there,
// whatever its content becomes. fresh tells that Home Assistant has to hear of it: it is new, or has new content.
func (r *Registry) Announce(slug string, m addons.Manifest, service string, config []byte) (uuid string, fresh bool, err error) {
	if !slices.Contains(m.Discovery, service) {
		return "", false, refuse(ErrNoRight, "Add-ons must list services they provide via discovery in their config! %.40q is not there", service)
	}
	if !validSlug.MatchString(slug) || !validSlug.MatchString(service) { // the file could not be read again
		return "", false, refuse(ErrInvalid, "%.40q of %.40q is no service of an add-on", service, slug)
	}
	c, err := ParseConfig(config)
	if err != nil {
		return "", false, err
	}
	err = r.change(func(st *state) (bool, error) {
		i := slices.IndexFunc(st.Messages, func(m Message) bool { return m.Addon == slug && m.Service == service })
		switch {
		case i < 0 && len(st.Messages) >= maxMessages:
			return false, refuse(ErrInvalid, "%d discovery messages are kept already; uninstall add-ons that are not needed", maxMessages)
		case i < 0:
			st.Messages = append(st.Messages, Message{UUID: newUUID(), Addon: slug, Service: service, Config: c})
			i = len(st.Messages) - 1
		case string(st.Messages[i].Config) == string(c):
			uuid = st.Messages[i].UUID
			return false, nil
		default:
			st.Messages[i].Config = c
		}
		uuid, fresh = st.Messages[i].UUID, true
		return true, nil
	})
	if err != nil {
		return "", false, err
	}
	return uuid, fresh, nil
}

// Messages are the discovery messages of one add-on, or of all of them when slug is "", oldest first.
func (r *Registry) Messages(slug string) []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Message{}
	for _, m := range r.state.Messages {
		if slug == "" || m.Addon == slug {
			out = append(out, m)
		}
	}
	return out
}

// Retract removes a discovery message of slug. The one of another add-on is as unknown as one that isn't there.
func (r *Registry) Retract(slug, uuid string) error {
	return r.change(func(st *state) (bool, error) {
		i := slices.IndexFunc(st.Messages, func(m Message) bool { return m.UUID == uuid && m.Addon == slug })
		if i < 0 {
			return false, refuse(ErrUnknown, "Discovery message not found")
		}
		st.Messages = slices.Delete(st.Messages, i, i+1)
		return true, nil
	})
}

// Drop forgets everything of an add-on that is being uninstalled; to forget nothing is a success. Its token must not be
// valid any more, or it could come back.
func (r *Registry) Drop(slug string) error {
	return r.forget(func(addon string) bool { return addon == slug })
}

// Keep forgets everything of add-ons that are not installed, as when a power cut came between an uninstallation and its
// [Registry.Drop]. It is for the start of the daemon, before add-ons can call.
func (r *Registry) Keep(installed []string) error {
	return r.forget(func(addon string) bool { return !slices.Contains(installed, addon) })
}

func (r *Registry) forget(gone func(addon string) bool) error {
	return r.change(func(st *state) (bool, error) {
		before := len(st.Services) + len(st.Messages)
		maps.DeleteFunc(st.Services, func(_ string, s Service) bool { return gone(s.Addon) })
		st.Messages = slices.DeleteFunc(st.Messages, func(m Message) bool { return gone(m.Addon) })
		return len(st.Services)+len(st.Messages) != before, nil
	})
}

// change lets edit work on a copy and makes the copy the state once it is on disk. edit returns false when nothing
// changed. After a failed write the old state stays in memory.
func (r *Registry) change(edit func(*state) (bool, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := state{Format: format, Services: maps.Clone(r.state.Services), Messages: slices.Clone(r.state.Messages)}
	changed, err := edit(&next)
	if err != nil || !changed {
		return err
	}
	if err := write(r.path, next); err != nil {
		return fmt.Errorf("cannot keep the services of add-ons: %w", err)
	}
	r.state = next
	return nil
}

// newUUID is a random UUID (RFC 9562, version 4) in the form of Home Assistant, without dashes.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return hex.EncodeToString(b[:])
}

// same tells whether two ways to a service are one.
func (s Service) same(o Service) bool {
	return s.Addon == o.Addon && s.Host == o.Host && s.Port == o.Port && s.Protocol == o.Protocol &&
		equal(s.Username, o.Username) && equal(s.Password, o.Password) && equal(s.SSL, o.SSL)
}

func equal[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
