package addons

import (
	"fmt"
	"strconv"
	"strings"
)

// want is what an element takes, for people.
func (e element) want() string {
	unit := func(singular, one string) string { return singular + e.span(one) }
	switch {
	case e.isDict:
		return "a group of options"
	case e.isList && len(e.list) > 0:
		return "a list, each item " + e.list[0].want()
	case e.isList:
		return "a list"
	}
	switch e.word {
	case "str":
		return unit("a text", " characters")
	case "password":
		return unit("a password", " characters")
	case "bool":
		return "true or false"
	case "int":
		return unit("a whole number", "")
	case "float":
		return unit("a number", "")
	case "port":
		return "a port from 1 to 65535"
	case "email":
		return "an e-mail address"
	case "url":
		return "an address with scheme and host, as https://example.org"
	case "match":
		return "a text that fits the pattern " + short(e.arg)
	case "list":
		return "one of " + short(strings.ReplaceAll(e.arg, "|", ", "))
	case "device":
		if e.arg != "" {
			return "the path of a device of kind " + e.arg + " that is plugged in, as /dev/ttyUSB0"
		}
		return "the path of a device that is plugged in, as /dev/ttyUSB0"
	}
	return "a value"
}

func (e element) span(unit string) string {
	number := func(f *float64) string { return strconv.FormatFloat(*f, 'f', -1, 64) }
	switch {
	case e.min != nil && e.max != nil:
		return fmt.Sprintf(" from %s to %s%s", number(e.min), number(e.max), unit)
	case e.min != nil:
		return fmt.Sprintf(" of at least %s%s", number(e.min), unit)
	case e.max != nil:
		return fmt.Sprintf(" of at most %s%s", number(e.max), unit)
	}
	return ""
}
