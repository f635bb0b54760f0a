package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"
)

// Reason names why a backup is refused.
type Reason string

// Reasons. The first three are damage, which a fresh copy may not have; the others are never in a backup of ours.
const (
	CutOff   Reason = "cut-off"  // it ends too early
	Damaged  Reason = "damaged"  // it cannot be decoded
	Checksum Reason = "checksum" // a part is not what backup.json says

	NoBackup  Reason = "no-backup" // another kind of file
	Extra     Reason = "extra"     // it holds more than backup.json says, or a part does
	Traversal Reason = "traversal" // a name leads out of its folder
	Order     Reason = "order"     // a member lies in a folder that was not made before it
	Twice     Reason = "twice"     // a name comes twice
	Device    Reason = "device"    // a device, pipe or unknown member
	LinkOut   Reason = "link-out"  // a hard link to something that is not in the part
	TooLarge  Reason = "too-large"
	TooMany   Reason = "too-many"
	TooDeep   Reason = "too-deep"
	Foreign   Reason = "foreign-part" // a part of another backup, or another unit's
)

// Refusal is the error for a backup that is not used: nothing of it was put in place.
type Refusal struct {
	Reason Reason
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(r Reason, format string, args ...any) error {
	return &Refusal{Reason: r, Text: fmt.Sprintf(format, args...)}
}

// Damage tells whether err says that a copy of the backup is bad where another may be good.
func Damage(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && (r.Reason == CutOff || r.Reason == Damaged || r.Reason == Checksum)
}

// damaged makes a refusal of what a decoder said, unless it is an answer of another kind already.
func damaged(err error) error {
	for _, own := range []error{ErrWrongKey, ErrKeyNeeded, ErrNoSpace, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, own) {
			return err
		}
	}
	if errors.As(err, new(*Refusal)) || errors.As(err, new(syscall.Errno)) {
		return full(err) // the disk's own words
	}
	return refuse(Damaged, "it is damaged: %s; copy or download it again", plain(err.Error()))
}

// full makes ErrNoSpace of what the disk says when it is full.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w; remove what is not needed", ErrNoSpace, err)
	}
	return err
}

// maxText bounds texts for people.
const maxText = 256

// plain makes a foreign text fit to be shown.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
