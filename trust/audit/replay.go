package audit

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/castellan/castellan/trust"
)

// Replayed compares a verdict of the log with what the Judge says today about the same evidence.
type Replayed struct {
	Seq    uint64        `json:"seq"`
	Logged trust.Verdict `json:"logged"`
	Again  trust.Verdict `json:"again"`
	Agree  bool          `json:"agree"` // word for word
}

// Replay judges the evidence of the verdict record seq again. It must agree, since the Judge is a pure
// function; a newer Castellan may differ where the rules did.
func (l *Log) Replay(seq uint64) (Replayed, error) {
	_, p, err := l.verdict(seq)
	if err != nil {
		return Replayed{}, fmt.Errorf("cannot replay record %d: %w", seq, err)
	}
	v := l.show(p.Verdict)
	data, err := l.Evidence(p.Evidence)
	if err != nil {
		return Replayed{}, fmt.Errorf("cannot replay record %d: %w", seq, err)
	}
	in, err := trust.DecodeInput(data)
	if err != nil {
		return Replayed{}, fmt.Errorf("cannot replay record %d: evidence %s: %w", seq, p.Evidence, err)
	}
	r := Replayed{Seq: seq, Logged: v, Again: shorten(trust.Judge(p.restore(in)))}
	a, err := json.Marshal(r.Logged)
	if err != nil {
		return r, fmt.Errorf("cannot compare record %d: %w", seq, err)
	}
	b, err := json.Marshal(r.Again)
	if err != nil {
		return r, fmt.Errorf("cannot compare record %d: %w", seq, err)
	}
	r.Agree = bytes.Equal(a, b)
	return r, nil
}
