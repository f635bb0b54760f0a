package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/codenotary/immudb/embedded/store"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

// maxEvidenceHeaders bounds an evidence file to some MiB. A fork further back than that is proven by the notes and
// the replica's own files.
const maxEvidenceHeaders = 1 << 15

// side is one of two histories: a point, and the note that vouches for it (none: the root document does).
type side struct {
	Point
	note []byte
}

// forkError is proof that a ledger has two histories. Headers lead to the upper side, from the one after the lower.
type forkError struct {
	lower, upper side
	headers      [][]byte
}

func (e *forkError) Error() string {
	return fmt.Sprintf("the ledger told two stories: it signed %s, whose history does not contain %s", e.upper.Point, e.lower.Point)
}

func (r *Replica) proveFork(lower, upper side, headers [][]byte) error {
	if lower.Count > upper.Count {
		lower, upper = upper, lower
	}
	return &forkError{lower, upper, headers}
}

// noteFor is the note that vouches for one of our anchors.
func (r *Replica) noteFor(p Point) []byte {
	if p == r.head.Point {
		return []byte(r.head.Note)
	}
	return nil
}

// evidence is the file that proves equivocation to anybody who has the ledger's note keys, with no server and no
// replica at hand. Lower and upper are points, each vouched for by a signed checkpoint or, one of them at most, by the
// root document; headers are the immudb transaction headers after lower up to upper, which show that upper's history
// has another hash where lower stands.
type evidence struct {
	Format   string       `json:"format"`
	Origin   string       `json:"origin"`
	Found    time.Time    `json:"found"`
	NoteKeys []string     `json:"noteKeys"`
	Lower    evidenceSide `json:"lower"`
	Upper    evidenceSide `json:"upper"`
	Headers  []string     `json:"headers"`
	Omitted  int          `json:"omitted,omitempty"` // headers left out for size; they are in the replica
}

type evidenceSide struct {
	Count uint64       `json:"count"`
	Alh   trust.Digest `json:"alh"`
	Note  string       `json:"note,omitempty"` // "" = the point comes from a root document
}

const evidenceFormat = "castellan equivocation v1"

// quarantineFor keeps the proof in fork and stops believing the ledger, in this order: a quarantine without its
// proof would be a claim.
func (r *Replica) quarantineFor(err error) error {
	var fork *forkError
	if !errors.As(err, &fork) {
		return err
	}
	now := r.cfg.Now().UTC().Truncate(time.Second)
	e := evidence{
		Format: evidenceFormat, Origin: r.cfg.Origin, Found: now, NoteKeys: r.noteKeys,
		Lower: evidenceSide{fork.lower.Count, fork.lower.Alh.Digest(), string(fork.lower.note)},
		Upper: evidenceSide{fork.upper.Count, fork.upper.Alh.Digest(), string(fork.upper.note)},
	}
	if len(fork.headers) > maxEvidenceHeaders {
		e.Omitted, fork.headers = int(fork.upper.Count-fork.lower.Count), nil
	}
	for _, h := range fork.headers {
		e.Headers = append(e.Headers, base64.StdEncoding.EncodeToString(h))
	}
	b, err := json.Marshal(e, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("equivocation-%d-%s.json", fork.upper.Count, fork.upper.Alh.Digest().Short())
	if err := durable.WriteFile(filepath.Join(r.cfg.Dir, name), append(b, '\n'), 0o644); err != nil {
		return onDisk(err)
	}
	h := r.head
	h.Quarantine = &quarantine{Why: fork.Error(), Evidence: name, Since: now}
	if err := r.setHead(h); err != nil {
		return err
	}
	r.cfg.Log.Error("ledger is in quarantine: it told two stories", "origin", h.Origin,
		"lower", fork.lower.Point.String(), "upper", fork.upper.Point.String(), "evidence", filepath.Join(r.cfg.Dir, name))
	return r.quarantined()
}

func (r *Replica) quarantined() error {
	q := r.head.Quarantine
	return reason(trust.LedgerQuarantined, "cannot follow the ledger %s since %s: %s; evidence in %s; send it to the vendor, a new root document lifts the quarantine",
		r.cfg.Origin, q.Since.Format(time.RFC3339), q.Why, filepath.Join(r.cfg.Dir, q.Evidence))
}

// CheckEvidence tells whether an evidence file proves that a ledger signed two histories: nil means that it does.
// Verifiers are the ledger's note keys as the reader knows them, not as the file lists them. Where the lower point
// comes from a root document, the reader has to compare it with that.
func CheckEvidence(file []byte, verifiers note.Verifiers) error {
	var e evidence
	if err := json.Unmarshal(file, &e, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("cannot read evidence: %w", err)
	}
	if e.Format != evidenceFormat {
		return fmt.Errorf("cannot read evidence: format %.40q, want %q", e.Format, evidenceFormat)
	}
	if e.Omitted > 0 {
		return fmt.Errorf("cannot check evidence: %d headers were left out; export them from the replica", e.Omitted)
	}
	lower, err := e.Lower.point(e.Origin, verifiers)
	if err != nil {
		return fmt.Errorf("evidence does not prove anything: lower: %w", err)
	}
	upper, err := e.Upper.point(e.Origin, verifiers)
	if err != nil {
		return fmt.Errorf("evidence does not prove anything: upper: %w", err)
	}
	if e.Lower.Note == "" && e.Upper.Note == "" {
		return errors.New("evidence does not prove anything: neither point is signed")
	}
	at, want := upper, Point{Count: lower.Count}
	for i := len(e.Headers) - 1; i >= 0; i-- {
		h, err := parseHeader(e.Headers[i])
		if err != nil {
			return fmt.Errorf("evidence does not prove anything: header %d: %w", i, err)
		}
		if h.ID != at.Count || h.alh != at.Alh {
			return fmt.Errorf("evidence does not prove anything: header %d does not lead to the checkpoint", i)
		}
		at = Point{h.ID - 1, h.prev}
	}
	if at.Count != want.Count || at.Alh == lower.Alh {
		return errors.New("evidence does not prove anything: both points are of one history")
	}
	return nil
}

func (s evidenceSide) point(origin string, verifiers note.Verifiers) (Point, error) {
	p, err := pointOf(trust.Anchor{Count: s.Count, Alh: s.Alh})
	if err != nil || s.Note == "" {
		return p, err
	}
	c, err := OpenCheckpoint([]byte(s.Note), verifiers)
	if err == nil && (c.Origin != origin || c.Point != p) {
		err = errors.New("the note speaks of something else")
	}
	return p, err
}

type headerFacts struct {
	ID        uint64
	prev, alh Hash
}

// parseHeader reads one header and computes its hash again.
func parseHeader(b64 string) (f headerFacts, err error) {
	defer func() { // see checker.check
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	raw, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil {
		return f, err
	}
	if len(raw) > maxHeaderBytes {
		return f, errors.New("too long")
	}
	var h store.TxHeader
	if err := h.ReadFrom(raw); err != nil {
		return f, err
	}
	if again, err := h.Bytes(); err != nil || string(again) != string(raw) {
		return f, errors.New("it has bytes that no hash covers")
	}
	return headerFacts{h.ID, h.PrevAlh, h.Alh()}, nil
}

// ownHeaders are the headers of our history after transaction from, checked against our head.
func (r *Replica) ownHeaders(from uint64) ([][]byte, error) {
	return r.headers(from, r.head.Count, r.head.Alh)
}

// unverifiedHeaders are the headers of a history that was just fetched and ends in transaction to.
func (r *Replica) unverifiedHeaders(from, to uint64) ([][]byte, error) {
	return r.headers(from, to, Hash{})
}

// headers reads the headers after transaction from up to transaction to, out of the committed files or, where those
// are missing, the unverified ones. They follow each other and, unless alh is zero, end in it.
// Beyond maxEvidenceHeaders they are checked and not kept.
func (r *Replica) headers(from, to uint64, alh Hash) ([][]byte, error) {
	var out [][]byte
	var end Hash
	for n := SegmentOf(from + 1); n*SegmentTxs < to; n++ {
		width := SegmentWidth(n, to)
		name := r.tree.segment(n, width)
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			f, err = os.Open(name + unverified)
		}
		if err != nil {
			return nil, err
		}
		s := &headerScan{segmentScan: segmentScan{segment: segment{n: n}, width: width}, from: from, end: end, room: maxEvidenceHeaders + 1 - len(out)}
		err = s.collect(f)
		_ = f.Close() // only read
		if err != nil {
			return nil, err
		}
		out, end = append(out, s.out...), s.segment.end()
	}
	if alh != (Hash{}) && len(out) > 0 && end != alh {
		return nil, fmt.Errorf("files end in %s, the head says %s", end.Digest().Short(), alh.Digest().Short())
	}
	return out, nil
}

type headerScan struct {
	segmentScan
	from uint64
	end  Hash
	room int
	out  [][]byte
}

func (s *headerScan) collect(f *os.File) error {
	r := NewSegmentReader(f)
	for range s.width {
		exported, err := r.Next()
		if err != nil {
			return err
		}
		if err := s.add(exported); err != nil {
			return err
		}
		if s.first()+uint64(len(s.hashes)-1) > s.from && len(s.out) < s.room {
			tx, err := s.c.check(exported)
			if err != nil {
				return err
			}
			s.out = append(s.out, append([]byte(nil), tx.Header...))
		}
	}
	if s.end != (Hash{}) && s.hashes[0] != s.end {
		return fmt.Errorf("segment %d does not follow the one before it", s.n)
	}
	return nil
}
