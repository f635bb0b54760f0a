package addons

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// The plain scalars of YAML 1.1 as Home Assistant's reader knows them. So 1e3 and 0o17 are texts, 017 is fifteen,
// 1_000 is a thousand and 22:30 is a number to the base of 60. A date stays the text it is.
var (
	yamlInt   = regexp.MustCompile(`^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$`)
	yamlFloat = regexp.MustCompile(`^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)$`)

	yamlWords = map[string]node{}
)

func init() {
	for _, word := range []string{"", "~", "null", "Null", "NULL"} {
		yamlWords[word] = node{kind: kindNull}
	}
	for _, word := range []string{"yes", "true", "on"} {
		for _, w := range []string{word, strings.ToUpper(word[:1]) + word[1:], strings.ToUpper(word)} {
			yamlWords[w] = node{kind: kindBool, yes: true}
		}
	}
	for _, word := range []string{"no", "false", "off"} {
		for _, w := range []string{word, strings.ToUpper(word[:1]) + word[1:], strings.ToUpper(word)} {
			yamlWords[w] = node{kind: kindBool}
		}
	}
	for _, word := range []string{".inf", ".Inf", ".INF"} {
		yamlWords[word] = node{kind: kindFloat, float: math.Inf(1)}
		yamlWords["+"+word] = node{kind: kindFloat, float: math.Inf(1)}
		yamlWords["-"+word] = node{kind: kindFloat, float: math.Inf(-1)}
	}
	for _, word := range []string{".nan", ".NaN", ".NAN"} {
		yamlWords[word] = node{kind: kindFloat, float: math.NaN()}
	}
}

// resolve says what a scalar without quotes is.
func resolve(text string, line int) *node {
	n := &node{kind: kindText}
	switch {
	case len(text) <= 5:
		if word, ok := yamlWords[text]; ok {
			n = &word
		} else if text[0] <= '9' {
			number(text, n)
		}
	case text[0] <= '9' && len(text) <= 64: // digits, sign and dot
		number(text, n)
	}
	n.text, n.line, n.weight = text, line, 1
	return n
}

// number fills in n when text is one. A whole number that no 64 bits hold is a float here, as large as it is.
func number(text string, n *node) {
	switch {
	case yamlInt.MatchString(text):
		n.kind = kindInt
		s := strings.ReplaceAll(text, "_", "")
		v, err := strconv.ParseInt(s, 0, 64)
		switch {
		case strings.Contains(s, ":"):
			f := sexagesimal(s)
			v, err = int64(f), nil
			if math.Abs(f) >= 1<<62 {
				n.kind, n.float = kindFloat, f
			}
		case err != nil:
			f, _ := strconv.ParseFloat(s, 64) // of digits only; what is too large is infinite
			n.kind, n.float = kindFloat, f
		}
		n.num = v
	case yamlFloat.MatchString(text):
		n.kind = kindFloat
		s := strings.ReplaceAll(text, "_", "")
		if strings.Contains(s, ":") {
			n.float = sexagesimal(s)
			return
		}
		n.float, _ = strconv.ParseFloat(s, 64) // the form was checked; what is too large is infinite
	}
}

func sexagesimal(s string) float64 {
	sign := 1.0
	switch s[0] {
	case '-':
		sign, s = -1, s[1:]
	case '+':
		s = s[1:]
	}
	total := 0.0
	for part := range strings.SplitSeq(s, ":") {
		v, _ := strconv.ParseFloat(part, 64) // digits, by the form
		total = total*60 + v
	}
	return sign * total
}
