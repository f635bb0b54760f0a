package services

import (
	"errors"
	"strings"
	"testing"
)

func TestServiceSchemas(t *testing.T) {
	long := strings.Repeat("a", maxText+1)
	for _, c := range []struct {
		service, body string
		says          string // "" = taken
	}{
		{MQTT, broker, ""},
		{MQTT, `{"host":"h","port":1883}`, ""},
		{MQTT, `{"host":"h","port":" 1883 ","ssl":"Yes","protocol":"3.1"}`, ""},
		{MQTT, `{"host":"h","port":1883,"ssl":1}`, ""},
		{MySQL, `{"host":"h","port":3306,"username":"","password":""}`, ""},
		{MQTT, ``, "required key not provided @ /host"},
		{MQTT, `{"host":"h"}`, "required key not provided @ /port"},
		{MQTT, `{"host":"h","port":0}`, "from 1 to 65535"},
		{MQTT, `{"host":"h","port":65536}`, "from 1 to 65535"},
		{MQTT, `{"host":"h","port":1.5}`, "from 1 to 65535"},
		{MQTT, `{"host":"h","port":true}`, "from 1 to 65535"},
		{MQTT, `{"host":"h","port":null}`, "not null"},
		{MQTT, `{"host":7,"port":1}`, "wrong type @ /host"},
		{MQTT, `{"host":"","port":1}`, "@ /host"},
		{MQTT, `{"host":"a b","port":1}`, "@ /host"},
		{MQTT, `{"host":"` + long + `","port":1}`, "@ /host"},
		{MQTT, `{"host":"h","port":1,"username":"` + long + `"}`, "@ /username"},
		{MQTT, `{"host":"h","port":1,"password":"` + long + `"}`, "@ /password"},
		{MQTT, `{"host":"h","port":1,"ssl":"maybe"}`, "@ /ssl"},
		{MQTT, `{"host":"h","port":1,"ssl":null}`, "not null"},
		{MQTT, `{"host":"h","port":1,"protocol":"5"}`, "@ /protocol"},
		{MQTT, `{"host":"h","port":1,"addon":"x"}`, "extra keys not allowed @ /addon"},
		{MQTT, `{"Host":"h","port":1}`, "extra keys not allowed @ /Host"},
		{MQTT, `{"host":"h","host":"g","port":1}`, "Invalid json"},
		{MQTT, `[]`, "wrong type"},
		{MQTT, `{"host":"h","port":1} x`, "Invalid json"},
		{MQTT, "{\"host\":\"\xff\",\"port\":1}", "Invalid json"},
		{MySQL, `{"host":"h","port":1,"ssl":false}`, "extra keys"},
		{MySQL, `{"host":"h","port":1,"protocol":"3.1"}`, "extra keys"},
		{"ftp", broker, "no service"},
	} {
		s, err := ParseService(c.service, []byte(c.body))
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s %.60s: got %v, want %q", c.service, c.body, err, c.says)
		}
		if err == nil && (s.SSL != nil) != (c.service == MQTT) {
			t.Errorf("%s %s: ssl %v", c.service, c.body, s.SSL)
		}
	}
	if s, _ := ParseService(MQTT, []byte(`{"host":"h","port":"1883","ssl":"on"}`)); s.Port != 1883 || !*s.SSL || s.Protocol != "3.1.1" {
		t.Errorf("got %+v", s)
	}
}

func TestDiscoveryContentIsBounded(t *testing.T) {
	for _, c := range []struct{ body, says string }{
		{`{"a":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`, ""},
		{`{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, "nested"},
		{`{"a":` + strings.Repeat("[", 30<<10), "nested"},
		{`{"a":"` + strings.Repeat("a", maxConfig) + `"}`, "limit"},
		{`{"a":1,"a":2}`, "Invalid json"},
		{`{} {}`, "Invalid json"},
		{`{"a":`, "Invalid json"},
		{`[]`, "want an object"},
		{`null`, "want an object"},
		{``, "want an object"},
	} {
		_, err := ParseConfig([]byte(c.body))
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%.40s: got %v, want %q", c.body, err, c.says)
		}
	}
	if c, err := ParseConfig([]byte(`{"b":12345678901234567890.10,"a":1}`)); err != nil || string(c) != `{"a":1,"b":12345678901234567890.10}` {
		t.Errorf("numbers changed: %s, %v", []byte(c), err)
	}
}
