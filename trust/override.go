package trust

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// OverrideTTL is how long an override waits to be used.
const OverrideTTL = 15 * time.Minute

const maxWhy = 1000 // bytes

// usable tells whether o still serves a change: used by it before, or unused and within its time. A clock that went
// back before its creation does not make it last longer.
func (o *Override) usable(change string, now time.Time) bool {
	if o.UsedBy != "" {
		return o.UsedBy == change
	}
	return !now.Before(o.Created) && now.Before(o.Expires)
}

// complete fills in and checks what an owner asked for.
func (o Override) complete(typed string, now time.Time) (Override, error) {
	cannot := func(format string, args ...any) (Override, error) {
		return Override{}, fmt.Errorf("cannot force %q: "+format, append([]any{o.Component}, args...)...)
	}
	o.Why = strings.TrimSpace(o.Why)
	switch {
	case o.Component == "":
		return cannot("no component is named; name the one to force")
	case o.Why == "":
		return cannot("no reason is given; say why in a few words, it goes into the log")
	case len(o.Why) > maxWhy || !utf8.ValidString(o.Why):
		return cannot("the reason is longer than %d bytes or not text; shorten it", maxWhy)
	case o.By == "":
		return cannot("nobody is named who asks for it")
	case len(o.Reasons) == 0:
		return cannot("no reason codes are listed; list those of the verdict to be overridden")
	case now.IsZero():
		return cannot("the time is not known")
	}
	if _, err := ParseDigest(string(o.Digest)); err != nil {
		return cannot("%w", err)
	}
	o.Confirmed = typed == o.Component
	for _, r := range o.Reasons {
		switch m := r.Meaning(); {
		case !r.Known():
			return cannot("%q is not a reason code", r)
		case m.Force == ForceNo:
			return cannot("%s can't be forced: %s; %s", r, m.Short, m.Next)
		case m.Force == ForceTyped && !o.Confirmed:
			return cannot("%s wants the component's name typed again; type %q", r, o.Component)
		}
	}
	o.ID, o.UsedBy = strings.ToLower(rand.Text()[:16]), ""
	o.Created, o.Expires = now.UTC(), now.UTC().Add(OverrideTTL)
	return o, nil
}
