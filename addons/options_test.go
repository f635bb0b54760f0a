package addons

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func schemaOf(t testing.TB, text string) Schema {
	t.Helper()
	var s Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func optionsOf(t testing.TB, text string) map[string]any {
	t.Helper()
	options, err := ParseOptions("options.json", []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return options
}

// An element, the value of an option, and what the add-on reads, or the kind of the mistake after a !.
var elementCases = [][3]string{
	{`str`, `"a"`, `"a"`}, {`str`, `1`, `!type`}, {`str`, `true`, `!type`}, {`str`, `[]`, `!type`}, {`str`, `null`, `!null_value`}, {`str?`, `null`, `!null_value`},
	{`str`, `"!secret pw"`, `"s3cret"`}, {`str`, `"!secret none"`, `!secret`}, {`str(2,4)`, `"a"`, `!range`}, {`str(2,4)`, `"abcd"`, `"abcd"`}, {`str(,3)`, `"äöü"`, `"äöü"`}, {`str(2,)`, `"a"`, `!range`},
	{`password`, `"x"`, `"x"`}, {`password?`, `""`, `""`}, {`password(8,)`, `"short"`, `!range`},
	{`bool`, `true`, `true`}, {`bool`, `"YES"`, `true`}, {`bool`, `"enable"`, `true`}, {`bool`, `"0"`, `false`}, {`bool`, `"off"`, `false`}, {`bool`, `2`, `true`}, {`bool`, `0.0`, `false`}, {`bool`, `""`, `!type`}, {`bool`, `"maybe"`, `!type`},
	{`int`, `"1"`, `1`}, {`int`, `" 5 "`, `5`}, {`int`, `1.9`, `1`}, {`int`, `-1.9`, `-1`}, {`int`, `true`, `1`}, {`int`, `"1.5"`, `!type`}, {`int`, `"x"`, `!type`}, {`int`, `"1_000"`, `1000`}, {`int`, `"_1"`, `!type`}, {`int`, `1e300`, `!type`}, {`int`, `99999999999999999999`, `!type`}, {`int`, `{}`, `!type`},
	{`int`, `"!secret num"`, `7`}, {`int(1,100)`, `101`, `!range`}, {`int(-5,5)`, `-6`, `!range`}, {`int(-5,5)`, `-5`, `-5`}, {`int(1,)`, `0`, `!range`}, {`int(,10)`, `10`, `10`},
	{`float`, `1`, `1`}, {`float`, `"2.5"`, `2.5`}, {`float`, `"nan"`, `!type`}, {`float`, `"inf"`, `!type`}, {`float`, `1e999`, `!type`}, {`float`, `"0x10"`, `!type`}, {`float(0.5,2)`, `0.4`, `!range`}, {`float(-1.5,)`, `-2`, `!range`},
	{`port`, `0`, `!range`}, {`port`, `65535`, `65535`}, {`port`, `"80"`, `80`}, {`port`, `65536`, `!range`}, {`port`, `"x"`, `!type`},
	{`email`, `"a@b.de"`, `"a@b.de"`}, {`email`, `"a.b+c@sub.example.org"`, `"a.b+c@sub.example.org"`}, {`email`, `"a@b"`, `!type`}, {`email`, `""`, `!type`}, {`email`, `"a b@c.de"`, `!type`}, {`email`, `5`, `!type`},
	{`url`, `"https://a"`, `"https://a"`}, {`url`, `"mailto:a@b"`, `!type`}, {`url`, `"//a"`, `!type`}, {`url`, `"http://"`, `!type`}, {`url`, `"http://[::1"`, `!type`}, {`url`, `""`, `!type`},
	{`match(^\\w+$)`, `"a b"`, `!pattern`}, {`match(^\\w+$)`, `5`, `"5"`}, {`match(^\\w+$)`, `"größe"`, `"größe"`}, {`match(^\\w+$)`, `"a\n"`, `"a\n"`}, {`match(abc)`, `"abcdef"`, `"abcdef"`}, {`match(bc)`, `"abc"`, `!pattern`},
	{`match(|[0-9a-f]{4,4})?`, `"zzz"`, `"zzz"`}, {`match(^(?=.*[0-9]).{2,}$)`, `"ab"`, `!pattern`}, {`match(^(?=.*[0-9]).{2,}$)`, `"a1"`, `"a1"`}, {`match((?P<q>['#]).*(?P=q)$)`, `"'a'"`, `"'a'"`}, {`match((?P<q>['#]).*(?P=q)$)`, `"'a"`, `!pattern`},
	{`match([)`, `"a"`, `!schema_error`}, {`match(a)(b)`, `"ab"`, `!schema_error`}, {`match(a\\Z)`, `"a"`, `"a"`}, {`match(a\\Z)`, `"ab"`, `!pattern`}, {`match(.*)`, `true`, `"True"`}, {`match(.*)`, `2.0`, `"2.0"`}, {`match(.*)`, `[]`, `!type`},
	{`list(a|b|c)`, `"a"`, `"a"`}, {`list(a|b|c)`, `"A"`, `!enum`}, {`list(a|b)?`, `""`, `!enum`}, {`list(1|2)`, `1`, `"1"`}, {`list(1|2)`, `1.0`, `!enum`}, {`list(on|off)`, `true`, `!enum`}, {`list(Europe (Long Range)|USA)`, `"Europe (Long Range)"`, `"Europe (Long Range)"`}, {`list(a|b)\n`, `"b"`, `"b"`},
	{`device`, `"/dev/ttyUSB0"`, `"/dev/ttyUSB0"`}, {`device`, `5`, `!device`}, {`device(subsystem=tty)`, `"/dev/ttyUSB0"`, `"/dev/ttyUSB0"`}, {`device(subsystem=usb)`, `"/dev/ttyUSB0"`, `!device`}, {``, `"x"`, `!schema_error`}, {`?`, `"x"`, `!schema_error`},
}

func TestElements(t *testing.T) {
	for _, c := range elementCases {
		kind, bad := strings.CutPrefix(c[2], "!")
		var result any
		if !bad {
			result = optionsOf(t, `{"k": `+c[2]+`}`)
		}
		checkOptions(t, schemaOf(t, `{"k": "`+c[0]+`"}`), optionsOf(t, `{"k": `+c[1]+`}`), !bad, result, kind)
	}
	for _, text := range []string{"str()", "int(1)", "float(1.,2)", "boolean", "port(1,2)", "match(a", "list()", "device(foo=bar)", "str??", "STR", "str(-1,)", "list(a)\n\n", "match(a\nb)", strings.Repeat("x", maxElement+1)} {
		if _, ok := parseElement(text); ok {
			t.Errorf("element %.50q was taken", text)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ schema, options, want, dropped string }{ // want: result, or path and kind of the mistake
		{`{"a":"str","b":"str?"}`, `{"a":"x"}`, `{"a":"x"}`, ""},
		{`{"a":"str"}`, `{}`, `!a missing_option`, ""},
		{`{"a":["str?"]}`, `{}`, `{}`, ""},
		{`{"a":["str"]}`, `{}`, `!a missing_option`, ""},
		{`{"a":["str"]}`, `{"a":"x"}`, `!a not_list`, ""},
		{`{"a":["str?"]}`, `{"a":["x",null]}`, `!a[1] null_value`, ""},
		{`{"a":{"b":"int","c":"str?"}}`, `{"a":{"b":"3"}}`, `{"a":{"b":3}}`, ""},
		{`{"a":{"b":"int?"}}`, `{}`, `!a missing_option`, ""},
		{`{"a":{"b":"int?"}}`, `{"a":[]}`, `!a not_dict`, ""},
		{`{"a":{"b":"int?"}}`, `{"a":null}`, `!a not_dict`, ""},
		{`{"a":{"b":"int"}}`, `{"a":{"b":1,"zzz":2},"y":{}}`, `{"a":{"b":1}}`, "a.zzz y"},
		{`{"l":[{"u":"str","h":"bool?"}]}`, `{"l":[{"u":"a","h":"yes","q":1},{"u":"b"}]}`, `{"l":[{"u":"a","h":true},{"u":"b"}]}`, "l[0].q"},
		{`{"l":[{"u":"str"}]}`, `{"l":[{"u":"a"},{}]}`, `!l[1].u missing_option`, ""},
		{`{"l":[{"u":"str?"}]}`, `{}`, `!l missing_option`, ""},
		{`{"l":[]}`, `{"l":["x"]}`, `!l schema_error`, ""},
		{`{"l":["str","int"]}`, `{"l":["x"]}`, `{"l":["x"]}`, ""},
		{`{}`, `{"x":1}`, `{}`, "x"},
		{`false`, `{"x":[1,null]}`, `{"x":[1,null]}`, ""},
	} {
		clean, dropped, err := schemaOf(t, c.schema).Validate(optionsOf(t, c.options), house)
		mistake, bad := strings.CutPrefix(c.want, "!")
		var e *OptionError
		switch {
		case bad && (!errors.As(err, &e) || e.Path+" "+e.Kind != mistake):
			t.Errorf("%s %s: %v, want %s", c.schema, c.options, err, mistake)
		case !bad && (err != nil || !cmp.Equal(clean, optionsOf(t, c.want)) || strings.Join(dropped, " ") != c.dropped):
			t.Errorf("%s %s: got %v, dropped %v, %v; want %s, dropped %s", c.schema, c.options, clean, dropped, err, c.want, c.dropped)
		}
	}
}

func TestWithoutOutsideNoSecretIsKnownAndOnlyDevIsADevice(t *testing.T) {
	s := schemaOf(t, `{"d":"device?","s":"str?"}`)
	for text, want := range map[string]string{`{"d":"/dev/x"}`: "", `{"d":"/etc/passwd"}`: "device", `{"d":"/dev/../etc/passwd"}`: "device", `{"s":"!secret pw"}`: "secret"} {
		_, _, err := s.Validate(optionsOf(t, text), Outside{})
		var e *OptionError
		if (err == nil) != (want == "") || err != nil && (!errors.As(err, &e) || e.Kind != want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestOptionErrorsSpeakToTheOwnerAndHoldNoValue(t *testing.T) {
	s := schemaOf(t, `{"logins":[{"user":"str","password":"password(8,)","age":"int(1,120)?","mode":"list(a|b)?","d":"device(subsystem=tty)?","m":"match(x+)?"}]}`)
	for text, want := range map[string]string{
		`{"logins":[{"user":"a","password":"hunter2"}]}`:                          "option logins[0].password: want a password of at least 8 characters",
		`{"logins":[{"user":"a","password":"!secret pw"}]}`:                       "option logins[0].password: want a password of at least 8 characters",
		`{"logins":[{"user":"a"}]}`:                                               "option logins[0].password: it is missing; write a password of at least 8 characters",
		`{"logins":[{"user":"a","password":"12345678","age":"hunter2"}]}`:         "option logins[0].age: want a whole number from 1 to 120",
		`{"logins":[{"user":"a","password":"12345678","mode":"hunter2"}]}`:        "option logins[0].mode: want one of a, b",
		`{"logins":[{"user":"a","password":"12345678","d":"hunter2"}]}`:           "option logins[0].d: want the path of a device of kind tty that is plugged in, as /dev/ttyUSB0",
		`{"logins":[{"user":"a","password":"12345678","m":"hunter2"}]}`:           "option logins[0].m: want a text that fits the pattern x+",
		`{"logins":"hunter2"}`:                                                    "option logins: want a list, each item a group of options",
		`{"logins":[{"user":"a","password":"12345678","age":"!secret hunter2"}]}`: "option logins[0].age: secrets.yaml of Home Assistant Core has no such name; add it there",
	} {
		_, _, err := s.Validate(optionsOf(t, text), house)
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestNumbersOfEveryDecoderAreTheSame(t *testing.T) {
	s := schemaOf(t, `{"k":"int","f":"float?","l":"list(1|2)?"}`)
	for _, v := range []any{5, int64(5), uint64(5), 5.0, json.Number("5")} {
		clean, _, err := s.Validate(map[string]any{"k": v, "f": v, "l": json.Number("1")}, Outside{})
		if err != nil || clean["k"] != int64(5) || clean["f"] != 5.0 || clean["l"] != "1" {
			t.Errorf("%T: %v, %v", v, clean, err)
		}
	}
	for _, v := range []any{struct{}{}, int8(1), []string{"x"}, uint64(1) << 63} {
		if _, _, err := s.Validate(map[string]any{"k": v}, Outside{}); err == nil {
			t.Errorf("%T was taken", v)
		}
	}
}

func TestHostilePatternsEnd(t *testing.T) {
	start := time.Now()
	for _, pattern := range []string{`(?=x)?(a+)+$`, `(a|a)*(?!x)$`, `(?:(?:a{1,99}){1,99}){1,99}(?<!b)$`, `((((a*)*)*)*)*\1$`, strings.Repeat("(", 4000)} {
		err := matchStart(pattern, strings.Repeat("a", 5000)+"!")
		if err == nil {
			t.Errorf("%.30s matched", pattern)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := matchStart(`(?=a)(a+)+$`, strings.Repeat("a", 5000)+"!"); err == nil || !strings.Contains(err.Error(), "takes too long") {
		t.Errorf("a pattern that never ends: %v", err)
	}
}

func TestForm(t *testing.T) {
	for schema, want := range map[string]string{
		`{"a":"str"}`:                   `[{"name":"a","required":true,"type":"string"}]`,
		`{"a":"int(1,5)"}`:              `[{"lengthMax":5,"lengthMin":1,"name":"a","required":true,"type":"integer"}]`,
		`{"a":"float(0,)?"}`:            `[{"lengthMin":0,"name":"a","optional":true,"type":"float"}]`,
		`{"a":"str(,9)"}`:               `[{"lengthMax":9,"name":"a","required":true,"type":"string"}]`,
		`{"a":"list(x|y z)?"}`:          `[{"name":"a","optional":true,"options":["x","y z"],"type":"select"}]`,
		`{"a":"password"}`:              `[{"format":"password","name":"a","required":true,"type":"string"}]`,
		`{"a":"email","b":"url"}`:       `[{"format":"email","name":"a","required":true,"type":"string"},{"format":"url","name":"b","required":true,"type":"string"}]`,
		`{"z":"port","a":"bool"}`:       `[{"name":"z","required":true,"type":"integer"},{"name":"a","required":true,"type":"boolean"}]`,
		`{"a":"match(x)"}`:              `[{"name":"a","required":true,"type":"string"}]`,
		`{"a":["str?"]}`:                `[{"multiple":true,"name":"a","optional":true,"type":"string"}]`,
		`{"a":{"b":"str"}}`:             `[{"multiple":false,"name":"a","optional":true,"schema":[{"name":"b","required":true,"type":"string"}],"type":"schema"}]`,
		`{"a":[{"b":"str"}],"c":[]}`:    `[{"multiple":true,"name":"a","optional":true,"schema":[{"name":"b","required":true,"type":"string"}],"type":"schema"}]`,
		`{"a":"device(subsystem=tty)"}`: `[{"name":"a","options":["/dev/ttyUSB0"],"required":true,"type":"select"}]`,
		`{}`:                            `[]`,
		`false`:                         `null`,
	} {
		got, err := json.Marshal(schemaOf(t, schema).Form([]string{"/dev/ttyUSB0"}))
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s\nwant %s, %v", schema, got, want, err)
		}
	}
	form := schemaOf(t, `{"a":"device(subsystem=tty)","b":"device"}`).FormFor(func(subsystem string) []string { return []string{"/dev/" + subsystem} })
	if !cmp.Equal(form[0]["options"], []string{"/dev/tty"}) || !cmp.Equal(form[1]["options"], []string{"/dev/"}) {
		t.Errorf("%v", form)
	}
}

func TestSchemaKeepsItsOrderInJSON(t *testing.T) {
	const text = `{"z":"str","a":["int(1,2)?"],"m":[{"y":"bool","b":"match(\u003ca\u003e)"}],"d":{}}`
	got, err := json.Marshal(schemaOf(t, text))
	if err != nil || string(got) != text {
		t.Errorf("got %s, %v", got, err)
	}
	if err := new(Schema).UnmarshalJSON([]byte(`{"a":"nope"}`)); err == nil {
		t.Error("a schema that is none was read")
	}
}

func TestOptionsFileKeepsFractions(t *testing.T) {
	got, err := MarshalOptions(map[string]any{"a": 1.0, "b": int64(1), "c": []any{0.5, 1e20, map[string]any{"d": 1e-7}}, "s": "<&>"})
	const want = "{\n  \"a\": 1.0,\n  \"b\": 1,\n  \"c\": [\n    0.5,\n    1e+20,\n    {\n      \"d\": 1e-07\n    }\n  ],\n  \"s\": \"<&>\"\n}\n"
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestParseOptions(t *testing.T) {
	for text, want := range map[string]string{"a: yes\nb: {c: 1.5}\n": `{"a":true,"b":{"c":1.5}}`, "": `{}`, "- a\n": "cannot read o.yaml: line 1: want a dictionary, got a list"} {
		options, err := ParseOptions("o.yaml", []byte(text))
		got, _ := json.Marshal(options)
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.HasPrefix(string(got), want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestMergeSharesNothing(t *testing.T) {
	defaults := map[string]any{"a": map[string]any{"x": 1, "y": []any{1}}, "l": []any{map[string]any{"k": 1}}, "s": "d", "t": map[string]any{}}
	overrides := map[string]any{"a": map[string]any{"y": []any{2}, "z": map[string]any{"q": 1}}, "l": []any{}, "t": "text", "n": nil}
	got := Merge(defaults, overrides)
	want := map[string]any{"a": map[string]any{"x": 1, "y": []any{2}, "z": map[string]any{"q": 1}}, "l": []any{}, "s": "d", "t": "text", "n": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got["a"].(map[string]any)["y"].([]any)[0] = 9
	got["a"].(map[string]any)["z"].(map[string]any)["q"] = 9
	got["a"].(map[string]any)["x"] = 9
	plain := Merge(defaults, nil)
	plain["l"].([]any)[0].(map[string]any)["k"] = 9
	if defaults["a"].(map[string]any)["x"] != 1 || defaults["l"].([]any)[0].(map[string]any)["k"] != 1 || !cmp.Equal(overrides["a"], any(map[string]any{"y": []any{2}, "z": map[string]any{"q": 1}})) {
		t.Errorf("the inputs changed: %v, %v", defaults, overrides)
	}
}

func FuzzOptions(f *testing.F) {
	for _, c := range elementCases {
		f.Add(`{"k": "`+c[0]+`"}`, `{"k": `+c[1]+`}`)
	}
	f.Add(`{"l":[{"u":"str","h":"bool?"}],"d":{"x":"float"}}`, `{"l":[{"u":"a","h":"yes","q":1}],"d":{"x":1e3}}`)
	f.Fuzz(func(t *testing.T, schema, text string) {
		var s Schema
		if s.UnmarshalJSON([]byte(schema)) != nil {
			return
		}
		options, err := ParseOptions("o.json", []byte(text))
		if err != nil {
			return
		}
		before := Merge(options, nil)
		clean, dropped, err := s.Validate(options, house)
		if !cmp.Equal(before, options) {
			t.Fatal("the options were changed")
		}
		var e *OptionError
		switch {
		case err != nil && (!errors.As(err, &e) || e.Kind == "" || e.Path == "" && !strings.Contains(schema, `""`) || len(err.Error()) > 2<<10):
			t.Fatalf("%.300v", err)
		case err != nil:
			return
		case !slices.IsSorted(dropped):
			t.Fatalf("%q", dropped)
		}
		if _, err := MarshalOptions(clean); err != nil && !s.Open() {
			t.Fatalf("what is clean cannot be written: %v", err)
		}
	})
}
