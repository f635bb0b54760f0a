package services

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/castellan/castellan/addons"
)

const broker = `{"host":"core-mosquitto","port":1883,"username":"addons","password":"s3cret","ssl":false,"protocol":"3.1.1"}`

func manifest(uses ...string) addons.Manifest {
	m := addons.Manifest{Discovery: []string{"mqtt", "vlc_telnet"}}
	for _, u := range uses {
		service, use, _ := strings.Cut(u, ":")
		m.Services = append(m.Services, addons.ServiceUse{Service: service, Use: use})
	}
	return m
}

var (
	provider = manifest("mqtt:provide", "mysql:provide")
	wants    = manifest("mqtt:want")
	nothing  = addons.Manifest{}
)

func fresh(t *testing.T) (*Registry, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.json")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	return open(t, path), path
}

func open(t *testing.T, path string) *Registry {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestServicesAreProvidedUsedAndWithdrawnByRight(t *testing.T) {
	r, path := fresh(t)
	for i, step := range []struct {
		what string
		do   func() error
		want error
	}{
		{"use before it is there", func() error { _, err := r.Use(wants, MQTT); return err }, ErrNone},
		{"withdraw before it is there", func() error { return r.Withdraw("a", provider, MQTT) }, ErrNone},
		{"provide what is only wanted", func() error { return r.Provide("b", wants, MQTT, []byte(broker)) }, ErrNoRight},
		{"unknown service", func() error { return r.Provide("a", provider, "ftp", []byte(broker)) }, ErrUnknown},
		{"wrong content", func() error { return r.Provide("a", provider, MQTT, []byte(`{}`)) }, ErrInvalid},
		{"a name that is none", func() error { return r.Provide("../a", provider, MQTT, []byte(broker)) }, ErrInvalid},
		{"provide", func() error { return r.Provide("a", provider, MQTT, []byte(broker)) }, nil},
		{"provide again", func() error { return r.Provide("a", provider, MQTT, []byte(broker)) }, nil},
		{"another provider", func() error { return r.Provide("b", provider, MQTT, []byte(broker)) }, ErrTaken},
		{"use", func() error { _, err := r.Use(wants, MQTT); return err }, nil},
		{"use without a word in the manifest", func() error { _, err := r.Use(nothing, MQTT); return err }, ErrNoRight},
		{"withdraw by one who wants", func() error { return r.Withdraw("b", wants, MQTT) }, ErrNoRight},
		{"withdraw by another", func() error { return r.Withdraw("b", provider, MQTT) }, ErrNoRight},
		{"withdraw", func() error { return r.Withdraw("a", provider, MQTT) }, nil},
		{"the other provider now", func() error { return r.Provide("b", provider, MQTT, []byte(broker)) }, nil},
	} {
		if err := step.do(); !errors.Is(err, step.want) || step.want == nil && err != nil {
			t.Errorf("step %d, %s: got %v, want %v", i, step.what, err, step.want)
		}
	}
	s, err := open(t, path).Use(wants, MQTT)
	if err != nil || s.Addon != "b" || s.Port != 1883 || *s.Password != "s3cret" || s.SSL == nil || *s.SSL {
		t.Errorf("after a restart: %v, %v", s, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file with passwords: %v, %v", fi.Mode(), err)
	}
}

func TestMessagesKeepTheirUUIDAndBelongToTheirAddon(t *testing.T) {
	r, path := fresh(t)
	announce := func(slug, config string) (string, bool) {
		t.Helper()
		id, fresh, err := r.Announce(slug, wants, "mqtt", []byte(config))
		if err != nil || !validUUID.MatchString(id) {
			t.Fatalf("%q, %v", id, err)
		}
		return id, fresh
	}
	first, isNew := announce("a", `{"host":"x","n":[1, 2.50],"e":"\u00e9"}`)
	r = open(t, path)
	if again, fresh := announce("a", ` {"e":"é", "n":[1,2.50],"host":"x"}`); again != first || fresh || !isNew {
		t.Errorf("same content again: %s (fresh %v), was %s (fresh %v)", again, fresh, first, isNew)
	}
	if other, fresh := announce("a", `{"host":"y"}`); other != first || !fresh {
		t.Errorf("new content: %s (fresh %v), want %s again", other, fresh, first)
	}
	second, _ := announce("b", `{"host":"y"}`)
	if second == first {
		t.Error("two add-ons share a message")
	}
	if _, _, err := r.Announce("a", nothing, "mqtt", []byte(`{}`)); !errors.Is(err, ErrNoRight) {
		t.Errorf("service that is not in the manifest: %v", err)
	}
	if err := r.Retract("b", first); !errors.Is(err, ErrUnknown) {
		t.Errorf("another add-on's message: %v", err)
	}
	if err := r.Retract("a", first); err != nil {
		t.Error(err)
	}
	if m := open(t, path).Messages(""); len(m) != 1 || m[0].UUID != second || string(m[0].Config) != `{"host":"y"}` {
		t.Errorf("after a restart %v", m)
	}
	if len(r.Messages("a")) != 0 || len(r.Messages("b")) != 1 {
		t.Error("an add-on sees what is not its own")
	}
}

func TestUninstalledAddonsLeaveNothing(t *testing.T) {
	for name, leave := range map[string]func(*Registry) error{
		"uninstall": func(r *Registry) error { return r.Drop("a") },
		"start":     func(r *Registry) error { return r.Keep([]string{"b", "c"}) },
	} {
		r, path := fresh(t)
		for _, err := range []error{
			r.Provide("a", provider, MQTT, []byte(broker)),
			r.Provide("b", provider, MySQL, []byte(`{"host":"h","port":"3306"}`)),
			announced(r, "a"), announced(r, "b"),
			leave(r), leave(r), // twice is once
		} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		r = open(t, path)
		if m := r.Messages(""); r.Provider(MQTT) != "" || r.Provider(MySQL) != "b" || len(m) != 1 || m[0].Addon != "b" {
			t.Errorf("%s left %q, %q, %v", name, r.Provider(MQTT), r.Provider(MySQL), m)
		}
	}
}

func announced(r *Registry, slug string) error {
	_, _, err := r.Announce(slug, wants, "mqtt", []byte(`{"password":"s3cret"}`))
	return err
}

func TestTheRegistryStaysSmallEnoughToBeReadAgain(t *testing.T) {
	r, path := fresh(t)
	big := []byte(`{"x":"` + strings.Repeat("a", 60<<10) + `"}`)
	var err error
	n := 0
	for ; err == nil && n < 2*maxBytes/len(big); n++ {
		_, _, err = r.Announce(fmt.Sprintf("a%d", n), wants, "mqtt", big)
	}
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "limit") {
		t.Errorf("after %d large messages: %v", n, err)
	}
	if got := len(open(t, path).Messages("")); got != n-1 || len(r.Messages("")) != n-1 {
		t.Errorf("%d messages on disk, want %d", got, n-1)
	}
	r, _ = fresh(t)
	for i := range maxMessages {
		r.state.Messages = append(r.state.Messages, Message{UUID: newUUID(), Addon: fmt.Sprint(i), Service: "s", Config: Config(`{}`)})
	}
	if _, _, err := r.Announce("a", wants, "mqtt", []byte(`{}`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("message %d: %v", maxMessages+1, err)
	}
	// Spaces do not count when it is read again.
	wide := []byte(`{"x":[` + strings.Repeat("[ ],", 15<<10) + `[]]}`)
	r, path = fresh(t)
	if _, _, err := r.Announce("a", wants, "mqtt", wide); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestPasswordsAreNeverShown(t *testing.T) {
	r, _ := fresh(t)
	if err := errors.Join(r.Provide("a", provider, MQTT, []byte(broker)), announced(r, "a")); err != nil {
		t.Fatal(err)
	}
	s, err := r.Use(wants, MQTT)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Messages("a")[0]
	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "service", s, "message", m, "password", *s.Password, "config", m.Config)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, m)
		fmt.Fprintf(&out, verb, *s.Password)
		fmt.Fprintf(&out, verb, m.Config)
	}
	for _, body := range []string{
		`{"host":"h","port":1,"password":["s3cret"]}`, `{"host":"h","port":"s3cret"}`, `{"host":"h","port":1,"password":"s3cret\q"}`,
		`{"host":"h","port":1,"protocol":"s3cret"}`, `{"host":"h","port":1,"ssl":"s3cret"}`, `{"host":"s3cret s3cret","port":1}`, `s3cret`,
	} {
		err := r.Provide("a", provider, MQTT, []byte(body))
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", body, err)
		}
		fmt.Fprintln(&out, err)
		_, err = parse([]byte(`{"format":1,"discovery":[],"services":{"mqtt":` + body + `}}`))
		fmt.Fprintln(&out, err)
		_, _, err = r.Announce("a", wants, "mqtt", []byte(body+","))
		fmt.Fprintln(&out, err)
	}
	for _, s := range []string{"s3cret", fmt.Sprintf("%x", "s3cret"), fmt.Sprint([]byte("s3cret")[:3])[1:]} {
		if strings.Contains(out.String(), strings.TrimSuffix(s, "]")) {
			t.Errorf("%q is shown:\n%s", s, out.String())
		}
	}
}
