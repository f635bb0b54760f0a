package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

const (
	headName     = "head"
	headMagic    = "castellan ledger head v1 "
	maxHeadBytes = 64 << 10
)

// head is what the replica must remember, all of it in one file, so that one write commits all of it.
type head struct {
	Origin string
	Point
	Note       string // newest signed checkpoint with this Point, "" before the first sync and after a resume
	Time       time.Time
	Root       int
	Resumed    *trust.Anchor // the root document's resume that was applied last
	Quarantine *quarantine

	Inconsistent time.Time // since when no mirror gives bytes that match a newer checkpoint; zero = all is well
}

// quarantine says why a ledger is not believed any more.
type quarantine struct {
	Why      string    `json:"why"`
	Evidence string    `json:"evidence"` // file in the replica's folder
	Since    time.Time `json:"since"`
}

// wireHead is the JSON form of head.
type wireHead struct {
	Origin       string        `json:"origin"`
	Count        uint64        `json:"count"`
	Alh          trust.Digest  `json:"alh"`
	Note         string        `json:"note,omitempty"`
	Time         int64         `json:"time"`
	Root         int           `json:"root"`
	Resumed      *trust.Anchor `json:"resumed,omitempty"`
	Quarantine   *quarantine   `json:"quarantine,omitempty"`
	Inconsistent int64         `json:"inconsistent,omitempty"`
}

// parseHead reads the head file: a line with the sha256 of all that follows, then strict JSON.
func parseHead(b []byte) (head, error) {
	first, body, ok := strings.Cut(string(b), "\n")
	sum := sha256.Sum256([]byte(body))
	if !ok || len(b) > maxHeadBytes || first != headMagic+hex.EncodeToString(sum[:]) {
		return head{}, errors.New("its checksum does not fit")
	}
	var w wireHead
	if err := json.Unmarshal([]byte(body), &w, json.RejectUnknownMembers(true)); err != nil {
		return head{}, err
	}
	p, err := pointOf(trust.Anchor{Count: w.Count, Alh: w.Alh})
	if err != nil {
		return head{}, err
	}
	h := head{Origin: w.Origin, Point: p, Note: w.Note, Root: w.Root, Resumed: w.Resumed, Quarantine: w.Quarantine}
	if w.Time != 0 {
		h.Time = time.Unix(w.Time, 0).UTC()
	}
	if w.Inconsistent != 0 {
		h.Inconsistent = time.Unix(w.Inconsistent, 0).UTC()
	}
	return h, nil
}

func (h head) marshal() ([]byte, error) {
	w := wireHead{
		Origin: h.Origin, Count: h.Count, Alh: h.Alh.Digest(), Note: h.Note, Root: h.Root,
		Resumed: h.Resumed, Quarantine: h.Quarantine,
	}
	if !h.Time.IsZero() {
		w.Time = h.Time.Unix()
	}
	if !h.Inconsistent.IsZero() {
		w.Inconsistent = h.Inconsistent.Unix()
	}
	body, err := json.Marshal(w, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	sum := sha256.Sum256(body)
	return append([]byte(headMagic+hex.EncodeToString(sum[:])+"\n"), body...), nil
}

func readHead(dir string) (head, error) {
	name := filepath.Join(dir, headName)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, reason(trust.StateMissing, "cannot find %s: the replica was never set up, or its state is lost; restore a backup, or run castellan trust reinit", name)
	}
	if err != nil {
		return head{}, err
	}
	h, err := parseHead(b)
	if err != nil {
		return head{}, reason(trust.StateMissing, "cannot read %s: %w; restore a backup, or run castellan trust reinit", name, err)
	}
	return h, nil
}

// writeHead is the commit point of everything the replica does.
func writeHead(dir string, h head) error {
	b, err := h.marshal()
	if err != nil {
		return err
	}
	return onDisk(durable.WriteFile(filepath.Join(dir, headName), b, 0o640))
}
