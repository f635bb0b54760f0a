package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// MaxCheckpointBytes bounds a checkpoint with its signatures; there is room for many witnesses.
const MaxCheckpointBytes = 16 << 10

// Checkpoint is a ledger's signed word on its own history, a C2SP tlog-checkpoint with two extension lines:
//
//	castellan.example/ledger
//	1234
//	base64(alh)
//	time 1785000000
//	root 3
//
// It is carried by a signed note (C2SP signed-note, ed25519). Lines after these five are signed and ignored, so that
// the format can grow; signatures by unknown keys are ignored too, so that witnesses can cosign.
type Checkpoint struct {
	Origin string
	Point            // number of transactions and the hash of the last one
	Time   time.Time // when it was signed, to the second
	Root   int       // newest version of the root document the ledger knows
}

// ParseCheckpoint reads the text of a checkpoint. It says nothing of signatures, see [OpenCheckpoint].
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(text) > MaxCheckpointBytes || len(lines) < 6 || lines[len(lines)-1] != "" {
		return Checkpoint{}, errors.New("cannot read checkpoint: want five lines: origin, count, hash, time, root")
	}
	c := Checkpoint{Origin: lines[0]}
	if c.Origin == "" || strings.TrimSpace(c.Origin) != c.Origin {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: line 1: %.80q is no origin", lines[0])
	}
	var err error
	if c.Count, err = parseDecimal(lines[1]); err != nil {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: line 2: %w", err)
	}
	alh, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(alh) != len(c.Alh) || base64.StdEncoding.EncodeToString(alh) != lines[2] {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: line 3: %.80q is no base64 sha256", lines[2])
	}
	copy(c.Alh[:], alh)
	if c.Count == 0 && c.Point != Genesis {
		return Checkpoint{}, errors.New("cannot read checkpoint: line 3: an empty ledger has the hash of nothing")
	}
	unix, err := parseField(lines[3], "time ")
	if err != nil || unix > 1<<40 {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: line 4: %.80q, want \"time <unix seconds>\"", lines[3])
	}
	c.Time = time.Unix(int64(unix), 0).UTC()
	root, err := parseField(lines[4], "root ")
	if err != nil || root > 1<<30 {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: line 5: %.80q, want \"root <version>\"", lines[4])
	}
	c.Root = int(root)
	return c, nil
}

// String is the text of c, what is signed.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\ntime %d\nroot %d\n",
		c.Origin, c.Count, base64.StdEncoding.EncodeToString(c.Alh[:]), c.Time.Unix(), c.Root)
}

// SignCheckpoint is the signed note for c. It refuses what [ParseCheckpoint] would not read back.
func SignCheckpoint(signer note.Signer, c Checkpoint) ([]byte, error) {
	text := c.String()
	if again, err := ParseCheckpoint(text); err != nil {
		return nil, err
	} else if again.String() != text {
		return nil, fmt.Errorf("cannot sign checkpoint: %q is no origin", c.Origin)
	}
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("cannot sign checkpoint %d of %s: %w", c.Count, c.Origin, err)
	}
	return msg, nil
}

// OpenCheckpoint is the checkpoint in msg, which must carry a valid signature of at least one of verifiers.
func OpenCheckpoint(msg []byte, verifiers note.Verifiers) (Checkpoint, error) {
	if len(msg) > MaxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("cannot read checkpoint: more than %d bytes", MaxCheckpointBytes)
	}
	n, err := note.Open(msg, verifiers)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("cannot believe checkpoint: %w", err)
	}
	return ParseCheckpoint(n.Text)
}

// Verifiers reads verifier keys as the root document lists them.
func Verifiers(keys []string) (note.Verifiers, error) {
	var list []note.Verifier
	for i, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("cannot read note key %d of %d: %w", i+1, len(keys), err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, errors.New("cannot follow a ledger without a note key: the root document must name one")
	}
	return note.VerifierList(list...), nil
}

func parseField(line, prefix string) (uint64, error) {
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return 0, errors.New("missing " + prefix)
	}
	return parseDecimal(rest)
}

// parseDecimal reads digits without sign, space or leading zero, so that one number has one text.
func parseDecimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.40q is no decimal number", s)
	}
	return n, nil
}
