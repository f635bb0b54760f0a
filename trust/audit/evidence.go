package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
)

func (l *Log) evidencePath(d trust.Digest) string {
	return filepath.Join(l.dir, "evidence", d.Hex()+".json")
}

func evidenceDigest(name string) (trust.Digest, bool) {
	hex, ok := strings.CutSuffix(name, ".json")
	d, err := trust.ParseDigest("sha256:" + hex)
	return d, ok && err == nil
}

func (l *Log) evidenceBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.evidence
}

// keep writes evidence under its digest, once, and holds it back from the sweep until release. What is there already
// is compared, so that a file that rotted is written again.
func (l *Log) keep(data []byte) (d trust.Digest, release func(), err error) {
	d = trust.DigestOf(data)
	l.mu.Lock()
	l.held[d]++
	l.mu.Unlock()
	release = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[d]--; l.held[d] == 0 {
			delete(l.held, d)
		}
	}
	name := l.evidencePath(d)
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return d, release, nil
	}
	if err := durable.WriteFile(name, data, 0o600); err != nil {
		release()
		return "", nil, fmt.Errorf("cannot keep evidence: %w", err)
	}
	l.mu.Lock()
	l.evidence += int64(len(data))
	l.mu.Unlock()
	return d, release, nil
}

// Evidence is the content of an evidence file, checked against its digest.
func (l *Log) Evidence(d trust.Digest) ([]byte, error) {
	if _, err := trust.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(l.evidencePath(d))
	if err != nil {
		return nil, fmt.Errorf("cannot read evidence: %w", err)
	}
	if got := trust.DigestOf(data); got != d {
		return nil, fmt.Errorf("cannot accept evidence %s: its digest is %s; the file was changed or the disk is failing",
			l.evidencePath(d), got)
	}
	return data, nil
}

// VerdictPayload is the payload of a `verdict` record. Together with the evidence it holds all the Judge was given.
type VerdictPayload struct {
	Verdict  trust.Verdict `json:"verdict"`
	Evidence trust.Digest  `json:"evidence"`           // file with the rest of the [trust.Input]
	Change   string        `json:"change,omitempty"`   // the change it was asked for
	Requires []string      `json:"requires,omitempty"` // requirements that were not met
	Input    *moved        `json:"input,omitempty"`    // set when the verdict's own head and time are not the input's
}

// moved is what differs between two judgements of the same image on the same records. It is kept in the line, and not
// in the evidence, so that re-judging what is installed adds a line and no file.
type moved struct {
	Now  time.Time  `json:"now"`
	Head trust.Head `json:"head"`
}

// maxDetail bounds the detail of a finding in a line, in bytes: hostile records end up there.
const maxDetail = 2 << 10

// RecordVerdict logs a verdict with the input it was made from, and returns the record's sequence number once both
// are on disk for good, the evidence first. It implements [trust.Recorder].
func (l *Log) RecordVerdict(ctx context.Context, v trust.Verdict, in trust.Input) (uint64, error) {
	p := VerdictPayload{Change: in.Change, Requires: in.Requires}
	if !in.Now.Equal(v.Now) || !sameHead(in.Facts.Head, v.Head) {
		p.Input = &moved{in.Now, in.Facts.Head}
	}
	data, err := trust.EncodeInput(strip(in))
	if err != nil {
		return 0, fmt.Errorf("cannot log verdict: %w", err)
	}
	if p.Verdict, err = l.hide(shorten(v)); err != nil {
		return 0, err
	}
	d, release, err := l.keep(data)
	if err != nil {
		return 0, fmt.Errorf("cannot log verdict: %w", err)
	}
	p.Evidence = d
	seq, err := l.append(ctx, KindVerdict, p)
	if ctx.Err() == nil { // otherwise the line may still be on its way: the evidence stays held until the next start
		release()
	}
	return seq, err
}

// strip takes out of in what the line says.
func strip(in trust.Input) trust.Input {
	in.Change, in.Requires, in.Now, in.Facts.Head = "", nil, time.Time{}, trust.Head{}
	return in
}

// restore undoes strip.
func (p VerdictPayload) restore(in trust.Input) trust.Input {
	in.Change, in.Requires, in.Now, in.Facts.Head = p.Change, p.Requires, p.Verdict.Now, p.Verdict.Head
	if p.Input != nil {
		in.Now, in.Facts.Head = p.Input.Now, p.Input.Head
	}
	return in
}

func sameHead(a, b trust.Head) bool {
	ok := a.Time.Equal(b.Time)
	a.Time, b.Time = time.Time{}, time.Time{}
	return ok && a == b
}

// shorten bounds what outside texts add to a line.
func shorten(v trust.Verdict) trust.Verdict {
	findings := make([]trust.Finding, len(v.Findings))
	for i, f := range v.Findings {
		f.Detail = clip(strings.ToValidUTF8(f.Detail, "\uFFFD"), maxDetail)
		findings[i] = f
	}
	if v.Findings != nil {
		v.Findings = findings
	}
	return v
}

// hide replaces the names of a private component by references.
func (l *Log) hide(v trust.Verdict) (trust.Verdict, error) {
	if l.o.Private == nil || !l.o.Private(v.Subject) {
		return v, nil
	}
	err := eachName(&v, func(s *string) (err error) {
		*s, err = l.Private(*s)
		return err
	})
	return v, err
}

// show undoes hide, as far as the private texts are still there.
func (l *Log) show(v trust.Verdict) trust.Verdict {
	v = shorten(v)                           // for its copy of the findings
	_ = eachName(&v, func(s *string) error { // the function never fails
		if text, ok := l.Text(*s); ok {
			*s = text
		}
		return nil
	})
	return v
}

// eachName calls fn for every text of a verdict that may name its component.
func eachName(v *trust.Verdict, fn func(*string) error) error {
	names := []*string{&v.Subject.Component, &v.Subject.Repository}
	for i := range v.Findings {
		names = append(names, &v.Findings[i].Detail)
	}
	for _, s := range names {
		if err := fn(s); err != nil {
			return err
		}
	}
	return nil
}
