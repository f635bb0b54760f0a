package config

import "testing"

func TestPagesOfAddonsHaveAPortOfTheirOwn(t *testing.T) {
	for _, c := range []struct{ listen, pages, want string }{
		{"", "", ""},
		{"", ":8481", ""},
		{":8480", "", ":8481"},
		{"192.168.1.5:8480", "", "192.168.1.5:8481"},
		{"[fd00::1]:8480", "", "[fd00::1]:8481"},
		{"[fd00::1]:8480", "off", ""},
		{":8480", ":9000", ":9000"},
		{"127.0.0.1:0", "", "127.0.0.1:0"},
	} {
		a := API{Listen: c.listen, IngressListen: c.pages}
		if got := a.Ingress(); got != c.want {
			t.Errorf("listen %q, ingress_listen %q: got %q, want %q", c.listen, c.pages, got, c.want)
		}
		if a.Equal(API{Listen: c.listen, IngressListen: c.pages + "1"}) {
			t.Errorf("listen %q, ingress_listen %q: a change is not seen", c.listen, c.pages)
		}
	}
}
