package services

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits on what one add-on may have the registry keep.
const (
	maxText   = 1024     // bytes of a host, a user name, a password
	maxConfig = 64 << 10 // bytes of a discovery message's content
	maxDepth  = 32       // of a discovery message's content
)

// Config is the content of a discovery message: a JSON object, compact, its keys in order. It may hold passwords.
type Config []byte

// Format implements fmt.Formatter, for every verb.
func (Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) } // fmt keeps the error itself

// LogValue implements slog.LogValuer.
func (Config) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON implements json.Marshaler.
func (c Config) MarshalJSON() ([]byte, error) { return c, nil }

// UnmarshalJSON implements json.Unmarshaler; what it takes is checked by [ParseConfig] afterwards.
func (c *Config) UnmarshalJSON(b []byte) error {
	*c = bytes.Clone(b)
	return nil
}

// ParseConfig checks the content of a discovery message and brings it into one form, so that equal content is equal
// bytes. Numbers stay as they were written.
func ParseConfig(b []byte) (Config, error) {
	if len(b) > maxConfig {
		return nil, refuse(ErrInvalid, "config: %d bytes, the limit is %d", len(b), maxConfig)
	}
	d := jsontext.NewDecoder(bytes.NewReader(b))
	if d.PeekKind() != '{' {
		return nil, refuse(ErrInvalid, "config: want an object")
	}
	for {
		if _, err := d.ReadToken(); err != nil {
			return nil, refuse(ErrInvalid, "config: Invalid json at byte %d", d.InputOffset())
		}
		if d.StackDepth() > maxDepth {
			return nil, refuse(ErrInvalid, "config: nested more than %d deep", maxDepth)
		}
		if d.StackDepth() == 0 {
			break
		}
	}
	v := jsontext.Value(bytes.Clone(b))
	if err := v.Format(jsontext.ReorderRawObjects(true)); err != nil { // refuses what follows the object, too
		return nil, refuse(ErrInvalid, "config: Invalid json")
	}
	return Config(v), nil
}

// offer is what an add-on sends to provide a service. Home Assistant takes numbers and switches as text too.
type offer struct {
	Host     *string        `json:"host"`
	Port     jsontext.Value `json:"port"`
	Username *string        `json:"username"`
	Password *string        `json:"password"`
	SSL      jsontext.Value `json:"ssl"`
	Protocol *string        `json:"protocol"`
}

// ParseService checks what an add-on sends to provide a service, by the schema of that service, and fills in defaults.
// Unknown keys are refused.
func ParseService(service string, body []byte) (Service, error) {
	if err := known(service); err != nil {
		return Service{}, err
	}
	var o offer
	if err := decode(body, &o); err != nil {
		return Service{}, err
	}
	null := func(v jsontext.Value) bool { return v.Kind() == 'n' }
	if null(o.SSL) || null(o.Port) {
		return Service{}, refuse(ErrInvalid, "expected a value, not null, @ /port and /ssl")
	}
	if service != MQTT && (o.SSL != nil || o.Protocol != nil) {
		return Service{}, refuse(ErrInvalid, "extra keys not allowed: ssl and protocol are for %s", MQTT)
	}
	var s Service
	switch {
	case o.Host == nil:
		return s, refuse(ErrInvalid, "required key not provided @ /host")
	case o.Port == nil:
		return s, refuse(ErrInvalid, "required key not provided @ /port")
	}
	port, ok := number(o.Port)
	if !ok || port < 1 || port > math.MaxUint16 {
		return s, refuse(ErrInvalid, "want a number from 1 to 65535 @ /port")
	}
	s.Host, s.Port, s.Username = *o.Host, uint16(port), o.Username
	if o.Password != nil {
		p := Secret(*o.Password)
		s.Password = &p
	}
	if service == MQTT {
		on, ok := truth(o.SSL)
		if !ok {
			return s, refuse(ErrInvalid, "want true or false @ /ssl")
		}
		s.SSL, s.Protocol = &on, "3.1.1"
		if o.Protocol != nil {
			s.Protocol = *o.Protocol
		}
	}
	return s, s.check(service)
}

// check tells whether s is what the registry may hold for a service.
func (s Service) check(service string) error {
	switch {
	case s.Host == "" || len(s.Host) > maxText || strings.ContainsFunc(s.Host, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return refuse(ErrInvalid, "want the name or address of a host @ /host")
	case s.Port == 0:
		return refuse(ErrInvalid, "want a number from 1 to 65535 @ /port")
	case s.Username != nil && len(*s.Username) > maxText:
		return refuse(ErrInvalid, "longer than %d bytes @ /username", maxText)
	case s.Password != nil && len(*s.Password) > maxText:
		return refuse(ErrInvalid, "longer than %d bytes @ /password", maxText)
	case service == MQTT && s.SSL == nil, service != MQTT && (s.SSL != nil || s.Protocol != ""):
		return refuse(ErrInvalid, "ssl and protocol are for %s, and there always", MQTT)
	case service == MQTT && s.Protocol != "3.1" && s.Protocol != "3.1.1":
		return refuse(ErrInvalid, "want 3.1 or 3.1.1 @ /protocol")
	}
	return nil
}

// decode reads a strict JSON object; an empty body is {}. Its errors name the place, never the content.
func decode(b []byte, into any) error {
	if len(b) == 0 {
		return nil
	}
	err := json.Unmarshal(b, into, json.RejectUnknownMembers(true))
	var sem *json.SemanticError
	var syn *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &sem):
		return refuse(ErrInvalid, "extra keys not allowed @ %.80s", sem.JSONPointer)
	case errors.As(err, &sem):
		return refuse(ErrInvalid, "wrong type @ %.80s", sem.JSONPointer)
	case errors.As(err, &syn):
		return refuse(ErrInvalid, "Invalid json at byte %d", syn.ByteOffset)
	}
	return refuse(ErrInvalid, "Invalid json")
}

// number reads a whole number, or a text that is one.
func number(v jsontext.Value) (int, bool) {
	var text string
	switch v.Kind() {
	case '0':
		text = string(v)
	case '"':
		if json.Unmarshal(v, &text) != nil {
			return 0, false
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	return n, err == nil
}

// truth reads a switch the way Home Assistant does; a missing one is off.
func truth(v jsontext.Value) (on, ok bool) {
	switch v.Kind() {
	case 't', 'f':
		return v.Kind() == 't', true
	case '0':
		f, err := strconv.ParseFloat(string(v), 64)
		return f != 0, err == nil
	case '"':
		var text string
		if json.Unmarshal(v, &text) != nil {
			return false, false
		}
		text = strings.ToLower(text)
		if slices.Contains([]string{"1", "true", "yes", "on", "enable"}, text) {
			return true, true
		}
		return false, slices.Contains([]string{"0", "false", "no", "off", "disable"}, text)
	}
	return false, v == nil
}
