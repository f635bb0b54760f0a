package trust

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// maxDepth bounds the nesting of every signed document; the deepest one, the root, needs 6.
const maxDepth = 12

// maxNumber is the largest integer that every JSON implementation reads alike (RFC 7493, I-JSON).
const maxNumber = 1<<53 - 1

// decodeStrict reads exactly one JSON value from b into v. Two programs must never read one signed document in two
// ways, so whatever could be read in two ways is refused: duplicate, unknown and case-variant keys, null, invalid
// UTF-8, trailing bytes, and nesting or size beyond the limits.
func decodeStrict(b []byte, v any) error {
	if len(b) > MaxRecordBytes {
		return fmt.Errorf("%d bytes, the limit is %d", len(b), MaxRecordBytes)
	}
	if err := checkShape(b); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v, json.RejectUnknownMembers(true)); err != nil {
		return describe(err)
	}
	return nil
}

// encodeDeterministic writes v as JSON; the same value always gives the same bytes.
func encodeDeterministic(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true))
}

// checkShape refuses null and deep nesting before the decoder sees b. Whether b is JSON at all is the decoder's
// question: on anything else the answer here does not matter.
func checkShape(b []byte) error {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("nested deeper than %d at byte %d", maxDepth, i)
			}
		case '}', ']':
			depth--
		case 'n':
			return fmt.Errorf("null at byte %d: leave the field out instead", i)
		}
	}
	return nil
}

// endOfString is the place of the quote that ends the string which begins at b[start], len(b) when none does. Most
// of a record is one long base64 string, so it jumps from quote to quote.
func endOfString(b []byte, start int) int {
	for i := start + 1; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		escapes := i
		for b[escapes-1] == '\\' {
			escapes--
		}
		if (i-escapes)%2 == 0 {
			return i
		}
	}
}

// describe puts a decoder's error into the words of the document, not of the Go types it was read into, and keeps
// hostile input, which decoders quote, from filling a log.
func describe(err error) error {
	const limit = 300
	text := err.Error()
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		text = "unfitting JSON " + semantic.JSONKind.String()
		if semantic.Err != nil {
			text = semantic.Err.Error()
		}
		if semantic.JSONPointer != "" {
			text += fmt.Sprintf(" at %q", string(semantic.JSONPointer))
		}
	}
	text = strings.ToValidUTF8(strings.TrimPrefix(text, "jsontext: "), "?")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return errors.New(text)
}

// fieldError says which field of a document is wrong.
func fieldError(field, format string, args ...any) error {
	return fmt.Errorf("field %q: %w", field, fmt.Errorf(format, args...))
}

// checkText accepts up to max bytes of text that shows what it says: no control characters and none that reorder or
// hide what stands beside them.
func checkText(field, s string, max int) error {
	if len(s) > max {
		return fieldError(field, "%d bytes, the limit is %d", len(s), max)
	}
	if !utf8.ValidString(s) {
		return fieldError(field, "not valid UTF-8")
	}
	for _, r := range s {
		if r >= utf8.RuneSelf && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)) || unicode.IsControl(r) {
			return fieldError(field, "character %U is not allowed", r)
		}
	}
	return nil
}

// maxOrdinal bounds versions and thresholds, so that they fit an int on 32-bit appliances too.
const maxOrdinal = 1_000_000_000

// checkNumber accepts whole numbers from low to high.
func checkNumber(field string, n, low, high int64) error {
	if n < low || n > high {
		return fieldError(field, "%d is not between %d and %d", n, low, high)
	}
	return nil
}

// timeLayout is RFC 3339 in UTC with whole seconds, the only form of a time in a signed document.
const timeLayout = "2006-01-02T15:04:05Z"

func parseTime(field, s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || t.Format(timeLayout) != s || t.Unix() <= 0 {
		return time.Time{}, fieldError(field, "%.40q is not a time like 2026-08-01T12:00:00Z", s)
	}
	return t, nil
}

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// checkTime accepts what formatTime and parseTime carry without loss.
func checkTime(field string, t time.Time) error {
	if t.Nanosecond() != 0 || t.Unix() <= 0 || t.UTC().Year() > 9999 {
		return fieldError(field, "%v is not a time in whole seconds between 1970 and 9999", t)
	}
	return nil
}

// seconds converts a duration of a signed document, in whole seconds.
func seconds(field string, n int64) (time.Duration, error) {
	if n < 0 || n > math.MaxInt64/int64(time.Second) {
		return 0, fieldError(field, "%d is not a number of seconds", n)
	}
	return time.Duration(n) * time.Second, nil
}
