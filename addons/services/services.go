// Package services keeps what add-ons offer each other and what they announce to Home Assistant: the access to a
// message broker or a database ([Service]), and discovery messages ([Message]). It follows Home Assistant's Supervisor
// as of August 2026, and is stricter where that one lets anybody who wants a service also replace it.
//
// # Threat model
//
// An add-on is somebody else's program: what it sends is bounded in size, depth and number before it is kept, and what
// it may offer, use or announce is what its manifest says. One add-on can't replace, withdraw or read what another has
// announced. The registry holds passwords: its file is for the daemon's user alone, and no error, log line or printed
// value shows what an add-on sent.
//
// # Crash model
//
// The registry is one file that is written whole before a change to it is visible to anybody. A power cut leaves the
// old content or the new one. A change whose call failed may have reached the disk nevertheless; every call can be
// made again.
package services

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/castellan/castellan/addons"
)

// Names lists the services there are, in the order of Home Assistant.
var Names = []string{MQTT, MySQL}

// Services that add-ons offer each other. At most one add-on provides each.
const (
	MQTT  = "mqtt"
	MySQL = "mysql"
)

// Why a call was refused; every other error is of the disk.
var (
	ErrNoRight = errors.New("not in the manifest")      // the add-on may not do that
	ErrUnknown = errors.New("not there")                // no such service or message
	ErrInvalid = errors.New("not the expected content") // what was sent doesn't follow the schema or is too large
	ErrTaken   = errors.New("already provided")         // another add-on provides the service
	ErrNone    = errors.New("not provided")             // nobody provides the service
)

// refusal is a reason with the words for who sent it. It never holds what was sent.
type refusal struct {
	why  error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.why }

func refuse(why error, format string, args ...any) error {
	return &refusal{why, fmt.Sprintf(format, args...)}
}

// Secret is a text that is written to the registry and to who may read it, and shown nowhere else.
type Secret string

const hidden = "[hidden]"

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) } // fmt keeps the error itself

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Service is how a service is reached, in the form that Home Assistant gives to add-ons.
type Service struct {
	Addon    string  `json:"addon"` // slug of the provider
	Host     string  `json:"host"`
	Port     uint16  `json:"port"`
	Username *string `json:"username,omitzero"`
	Password *Secret `json:"password,omitzero"`
	SSL      *bool   `json:"ssl,omitzero"`      // mqtt alone, and there always
	Protocol string  `json:"protocol,omitzero"` // mqtt alone: 3.1 or 3.1.1
}

// LogValue implements slog.LogValuer.
func (s Service) LogValue() slog.Value {
	return slog.GroupValue(slog.String("addon", s.Addon), slog.String("host", s.Host), slog.Int("port", int(s.Port)))
}

// Message tells Home Assistant that an add-on offers something to set up. An add-on has one for each service.
type Message struct {
	UUID    string `json:"uuid"` // 32 hexadecimal digits
	Addon   string `json:"addon"`
	Service string `json:"service"`
	Config  Config `json:"config"`
}

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("uuid", m.UUID), slog.String("addon", m.Addon), slog.String("service", m.Service))
}

// use is what the manifest says about a service: provide, want, need, or "" for nothing.
func use(m addons.Manifest, service string) string {
	for _, s := range m.Services {
		if s.Service == service {
			return s.Use
		}
	}
	return ""
}

// Provides tells whether the manifest lets its add-on provide a service.
func Provides(m addons.Manifest, service string) bool { return use(m, service) == "provide" }

// known tells whether there is such a service at all.
func known(service string) error {
	for _, n := range Names {
		if n == service {
			return nil
		}
	}
	return refuse(ErrUnknown, "there is no service %.40q; there are %s", service, strings.Join(Names, " and "))
}
