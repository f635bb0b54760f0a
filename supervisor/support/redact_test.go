package support

import (
	"maps"
	"strings"
	"testing"
)

// Support can work with what is left.
func TestRedactKeepsWhatSupportReads(t *testing.T) {
	r := newRedactor()
	for _, s := range []string{
		"ghcr.io/home-assistant/home-assistant:2026.8.3@sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"core.20261126t003741123456789-abcdef01 is pulled", "a0d7b954_home_assistant_matter_hub_2 is running", "2026-11-26T00:29:59Z 02:00-04:00",
		"/usr/share/castellan/root/1.json", "127.0.0.1:5599 and 172.30.32.1", `cannot update "core" to 2026.8.3: check "frontend" failed 5 of 5 times in 2m0s`,
		"credentials_file: /etc/castellan/registries.json", "token_file=/x", "publisher p-abcdefghij2345klmnop", "SIGNATURE_MISSING: no record", "level=INFO msg=ready",
		"--token-file /etc/x", "x-secret thing", "--passphrase-file - <x",
	} {
		if got := r.text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestRedactHides(t *testing.T) {
	r := newRedactor()
	r.hostName("attic-pi")
	r.know("well known")
	for _, c := range []struct{ in, secret string }{
		{"attic-pi castellan[1]: up", "attic-pi"},
		{`{"api_key": "se cret", "x": 1}`, "se cret"},
		{`opts={\"password\":\"se\"}`, `"se`},
		{"PASSWORD: se-cret", "se-cret"},
		{"wifi_psk=secret!", "secret!"},
		{"mqtt://u:p4ss@10.0.0.2:1883", "p4ss"},
		{"mqtt://u:p4ss@10.0.0.2:1883", "10.0.0.2"},
		{"Authorization: Basic dTpwYXNz", "dTpwYXNz"},
		{"key AIzaSyA1b2-C3d4_E5f6-G7h8_I9j0-K1l2", "C3d4"},
		{"base64 aB3/aB3/aB3/aB3/aB3/aB3/aB3/aB3/aB3/aB3/aB3=", "aB3/aB3"},
		{"ghp_0123456789012345678901234567890123456", "ghp_0"},
		{"it is well known", "well known"},
		{"http://[fd12::7]:80/", "fd12::7"},
		{"::ffff:192.168.1.9 came", "192.168.1.9"},
		{"AA-BB-CC-DD-EE-FF", "AA-BB"},
		{"mail to o.neil+x@mail.example.org", "neil"},
		{`level=WARN config={"password": "se cret"}`, "se cret"},
		{"options: {PASSWORD: se-cret, b: c}", "se-cret"},
		{"args: [{token: se-cret}]", "se-cret"},
		{"mosquitto_pub --password se-cret -t x", "se-cret"},
		{`command: ["--token", "se-cret"]`, "se-cret"},
		{`cmd=[\"--api-key\", \"se-cret\"]`, "se-cret"},
		{"-----BEGIN RSA PRIVATE KEY-----\nMIIcut", "MIIcut"},
	} {
		if got := r.text(c.in); strings.Contains(got, c.secret) {
			t.Errorf("%q became %q", c.in, got)
		}
	}
	if a, b := r.text("192.168.1.9"), r.text("at 192.168.1.9"); !strings.HasSuffix(b, " "+a) {
		t.Errorf("one address has two names: %q, %q", a, b)
	}
}

func TestRedactConfiguration(t *testing.T) {
	in := "a: 1 # ok\nenv:\n  PLAIN: valueOne\n  - LISTED=valueTwo\npassword: \"valueThree # x\"\n\"api_token\":\n  valueFour\nafter: stays\nlist:\n  - secret: |\n      valueFive\n    next: stays too\nbroken [ valueSix_password=valueSeven\n"
	got := newRedactor().yaml(in)
	for _, gone := range []string{"valueOne", "valueTwo", "valueThree", "valueFour", "valueFive", "valueSeven"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s is in\n%s", gone, got)
		}
	}
	for _, stays := range []string{"a: 1 # ok", "  PLAIN: ********", "after: stays", "    next: stays too", "broken ["} {
		if !strings.Contains(got, stays) {
			t.Errorf("%q is not in\n%s", stays, got)
		}
	}
}

// TestWhatIsHiddenIsCounted by its sort, and what merely looks like it is not.
func TestWhatIsHiddenIsCounted(t *testing.T) {
	g := &Bundle{hide: newRedactor()}
	g.hide.hostName("attic-pi")
	g.add("a", "x", []byte(g.hide.text("password=hunter2 at attic-pi, 192.168.1.7 and 192.168.1.7, anna@home.example, aa:bb:cc:dd:ee:ff, 81.2.69.142; plan-1 lane-2")), nil)
	got := g.Parts[0].Hidden
	want := map[string]int{"secret": 1, "host": 1, "lan": 2, "email": 1, "mac": 1, "ip": 1}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v in %q, want %v", got, g.Parts[0].Data, want)
	}
	g.add("b", "x", []byte("nothing"), nil)
	if g.Parts[1].Hidden != nil {
		t.Errorf("counted %v", g.Parts[1].Hidden)
	}
}
