package trust

import (
	"strings"
	"testing"
)

func TestStrictDecodingRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	type inner struct {
		Status string `json:"status"`
		Count  int64  `json:"count,omitzero"`
	}
	for name, c := range map[string]struct{ in, want string }{
		"good":                 {`{"status":"TRUSTED","count":7}`, ""},
		"white space":          {" {\n\"status\" : \"TRUSTED\"}\t", ""},
		"the word in a string": {`{"status":"null and {[{[{[{[{[{[{[ \"n"}`, ""},
		"duplicate key":        {`{"status":"UNTRUSTED","status":"TRUSTED"}`, "duplicate"},
		"escaped duplicate":    {`{"status":"UNTRUSTED","\u0073tatus":"TRUSTED"}`, "duplicate"},
		"case variant":         {`{"status":"UNTRUSTED","Status":"TRUSTED"}`, "unknown"},
		"case variant alone":   {`{"STATUS":"TRUSTED"}`, "unknown"},
		"kelvin sign":          {`{"\u212Aey":1}`, "unknown"},
		"unknown key":          {`{"status":"TRUSTED","x":1}`, "unknown"},
		"null":                 {`{"status":null}`, "null at byte 10"},
		"null after escape":    {`{"status":"\\","count":null}`, "null"},
		"invalid UTF-8":        {"{\"status\":\"\xff\"}", "UTF-8"},
		"lone surrogate":       {`{"status":"\ud800"}`, "surrogate"},
		"two values":           {`{"status":"TRUSTED"}{}`, "after top-level"},
		"trailing comma":       {`{"status":"TRUSTED",}`, "invalid"},
		"comment":              {`{"status":"TRUSTED"/**/}`, "invalid"},
		"number as string":     {`{"count":"7"}`, "string"},
		"string as number":     {`{"status":7}`, "number"},
		"fraction":             {`{"count":7.0}`, "count"},
		"exponent":             {`{"count":1e3}`, "count"},
		"beyond int64":         {`{"count":9223372036854775808}`, "count"},
		"byte order mark":      {"\ufeff{}", "invalid"},
		"deep":                 {strings.Repeat(`[`, 13), "nested deeper than 12"},
		"empty":                {``, "EOF"},
		"too long":             {`"` + strings.Repeat("a", MaxRecordBytes) + `"`, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			var v inner
			err := decodeStrict([]byte(c.in), &v)
			if c.want == "" {
				wantError(t, err)
				return
			}
			wantError(t, err, c.want)
		})
	}
}

func TestErrorsAboutHostileInputStayShort(t *testing.T) {
	var v struct{}
	err := decodeStrict([]byte(`{"`+strings.Repeat("a", 100_000)+`":1}`), &v)
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

func TestTextThatHidesSomethingIsRefused(t *testing.T) {
	for in, ok := range map[string]bool{
		"plain": true, "größer → 東京": true, "": true, "tab\t": false, "line\n": false, "esc\x1b[2J": false,
		"bidi \u202e": false, "zero width \u200b": false, "line separator \u2028": false, "bad \xff": false, "c1 \u0085": false,
		strings.Repeat("a", 101): false,
	} {
		if err := checkText("f", in, 100); (err == nil) != ok {
			t.Errorf("checkText(%q) = %v, want ok %v", in, err, ok)
		}
	}
}

func TestTimesHaveOneSpelling(t *testing.T) {
	for in, ok := range map[string]bool{
		"2026-08-01T12:00:00Z": true, "2026-08-01T12:00:00+00:00": false, "2026-08-01T12:00:00.0Z": false,
		"2026-08-01T12:00:00.000000001Z": false, "2026-8-1T12:00:00Z": false, "2026-08-01 12:00:00Z": false,
		"2026-02-30T12:00:00Z": false, "1969-12-31T23:59:59Z": false, "9999-12-31T23:59:59Z": true, "": false,
		"10000-01-01T00:00:00Z": false,
	} {
		got, err := parseTime("t", in)
		if (err == nil) != ok || ok && formatTime(got) != in {
			t.Errorf("parseTime(%q) = %v, %v; want ok %v", in, got, err, ok)
		}
	}
}
