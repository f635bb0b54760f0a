package events

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
)

// id names an event: which run of the daemon, and the how manieth of it. Its text is 16 hexadecimal digits, "-", and a
// decimal number, and no other text is the same ID.
type id struct {
	epoch string
	seq   uint64
}

func newEpoch() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func (i id) String() string { return i.epoch + "-" + strconv.FormatUint(i.seq, 10) }

// parseID reads what a client says it saw last. False is a client that says something else.
func parseID(s string) (id, bool) {
	epoch, number, ok := strings.Cut(s, "-")
	if !ok || len(epoch) != 16 || len(number) > 20 {
		return id{}, false
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	i := id{epoch, seq}
	if raw, wrong := hex.DecodeString(epoch); err != nil || wrong != nil || hex.EncodeToString(raw) != epoch || i.String() != s {
		return id{}, false
	}
	return i, true
}
