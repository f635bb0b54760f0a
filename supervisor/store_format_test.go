package supervisor

import (
	"strings"
	"testing"
)

func TestARowOfANewerFormatIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"format":1,"stopped":"by hand"}`:   "",
		`{"format":2,"stopped":"by hand"}`:   "format 2 is newer than 1; install the newer Castellan again",
		`{"format":2,"stopped":["by hand"]}`: "format 2 is newer than 1; install the newer Castellan again",
		`{"format":1,"stopped":["by hand"]}`: `cannot read service "radio" of the journal: json:`,
		`{"format":1,"stopped":"by`:          `cannot read service "radio" of the journal: unexpected end`,
		"":                                   `cannot read service "radio" of the journal: unexpected end`,
	} {
		w, err := decode[row](serviceBucket, "radio", []byte(text))
		switch {
		case want == "" && (err != nil || w.Stopped != "by hand"):
			t.Errorf("%s is read as %+v, %v", text, w, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
