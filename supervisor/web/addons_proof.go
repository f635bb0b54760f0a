package web

import (
	"encoding/json"

	"github.com/castellan/castellan/supervisor/api"
)

// proof is what an installed add-on's image was let in by.
type proof struct {
	Seq    uint64 // of the verification log
	Digest string
	Signer string
	Ledger string
	Tx     uint64
	Image  string
}

// logSpan is how many records of an add-on are looked through for the one that let it in.
const logSpan = 50

// proof reads the record that let an add-on in. What it can't say, the link to the record can.
func (v *visit) proof(info api.AddonInfo) *proof {
	out := &proof{Seq: info.Verdict, Signer: info.Publisher, Image: info.Image}
	list, err := v.api.Log(v.ctx(), api.LogQuery{Last: logSpan, Kinds: []string{"verdict"}, Service: "addon_" + info.Slug})
	if err != nil {
		return out
	}
	for _, r := range list.Records {
		if r.Seq != info.Verdict {
			continue
		}
		var line struct {
			Payload struct {
				Verdict struct {
					Subject struct {
						Index, Manifest string
					}
					Publisher string
					Record    *struct{ Tx uint64 }
					Head      struct{ Origin string }
				}
			}
		}
		if json.Unmarshal(r.Line, &line) != nil {
			return out // a form of the record that is not known here
		}
		told := line.Payload.Verdict
		if out.Digest = told.Subject.Index; out.Digest == "" {
			out.Digest = told.Subject.Manifest
		}
		if told.Publisher != "" {
			out.Signer = told.Publisher
		}
		if told.Record != nil {
			out.Ledger, out.Tx = told.Head.Origin, told.Record.Tx
		}
	}
	return out
}
