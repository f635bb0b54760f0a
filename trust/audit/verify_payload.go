package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/castellan/castellan/trust"
	jsonx "github.com/go-json-experiment/json"
)

// payload checks what a record says about the log itself.
func (v *verifier) payload(at Break, rec Record) {
	var err error
	switch rec.Kind {
	case KindPrune:
		var p PrunePayload
		if err = jsonx.Unmarshal(rec.Payload, &p, jsonx.RejectUnknownMembers(true)); err == nil {
			v.prunes = append(v.prunes, p)
		}
	case KindRecovered:
		var p RecoveredPayload // or what somebody else recovered from, in other words
		if json.Unmarshal(rec.Payload, &p) == nil && p.Missing != "" {
			at.What, at.Got = "a start found the log without its own signed head", p.Missing
			v.breaks(at)
		}
	case KindHead:
		err = v.head(at, rec)
	case KindVerdict:
		err = v.verdict(at, rec)
	}
	if err != nil {
		at.What, at.Got = "payload of "+string(rec.Kind), err.Error()
		v.breaks(at)
	}
}

func (v *verifier) head(at Break, rec Record) error {
	var p HeadPayload
	if err := jsonx.Unmarshal(rec.Payload, &p, jsonx.RejectUnknownMembers(true)); err != nil {
		return err
	}
	h, err := OpenHead(p.Note, p.Key)
	if err != nil {
		return err
	}
	if !slices.Contains(v.r.Keys, p.Key) {
		v.r.Keys = append(v.r.Keys, p.Key)
		if v.device != "" && p.Key != v.device {
			at.What, at.Want, at.Got = "device key", v.device, p.Key
			v.breaks(at)
		}
	}
	if h.Seq != rec.Seq-1 || h.Hash != rec.Prev {
		at.What, at.Want, at.Got = "signed head", fmt.Sprintf("record %d %s", h.Seq, h.Hash), fmt.Sprintf("record %d %s", rec.Seq-1, rec.Prev)
		v.breaks(at)
		return nil
	}
	v.r.Heads++
	return nil
}

func (v *verifier) verdict(at Break, rec Record) error {
	var p struct {
		Evidence trust.Digest `json:"evidence"`
	}
	if err := json.Unmarshal(rec.Payload, &p); err != nil {
		return err
	}
	if _, err := trust.ParseDigest(string(p.Evidence)); err != nil {
		return err
	}
	if v.evidence == nil || v.evidence[p.Evidence] {
		return nil
	}
	v.evidence[p.Evidence] = true
	data, err := os.ReadFile(filepath.Join(v.dir, "evidence", p.Evidence.Hex()+".json"))
	got := trust.DigestOf(data)
	if err != nil {
		got = trust.Digest(err.Error())
	}
	if got != p.Evidence {
		at.What, at.Want, at.Got = "evidence file", string(p.Evidence), string(got)
		v.breaks(at)
		return nil
	}
	v.r.Evidence++
	return nil
}
