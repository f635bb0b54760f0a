package access

import (
	"fmt"
	"io"
	"log/slog"
)

// mask stands for a secret wherever one is shown.
const mask = "***"

// Secret is a text that shows as *** in every format, log and JSON; only [Secret.Reveal] gives it. It is read from
// JSON as a string.
type Secret string

// Reveal is the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String is ***.
func (s Secret) String() string { return mask }

// Format writes *** whatever the verb: %x would show the bytes.
func (s Secret) Format(f fmt.State, _ rune) {
	// The state of a Printf can't refuse.
	_, _ = io.WriteString(f, mask)
}

// LogValue is ***.
func (s Secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalJSON gives ***.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }
