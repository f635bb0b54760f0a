package trust

import "context"

// Recorder is the verification log as the Gate sees it. RecordVerdict returns only after the verdict, with the
// facts it rests on, is on disk for good; seq is its place in the log. An error means that nothing may act on v.
type Recorder interface {
	RecordVerdict(ctx context.Context, v Verdict, in Input) (seq uint64, err error)
}

// Permit is the permission to load one image and to create one component's containers from it. Only [Gate.Admit]
// makes one; the zero Permit permits nothing.
type Permit struct {
	subject Subject
	outcome Outcome
	seq     uint64
}

// Subject is what the permit is for.
func (p Permit) Subject() Subject { return p.subject }

// Outcome is the outcome of the verdict behind the permit, "" for the zero Permit.
func (p Permit) Outcome() Outcome { return p.outcome }

// Seq is the verification log record that holds the verdict.
func (p Permit) Seq() uint64 { return p.seq }

// Valid tells whether p was minted by a Gate.
func (p Permit) Valid() bool { return p.seq != 0 && p.outcome.Allowed() && p.subject.Manifest != "" }

// Permits tells whether p allows component to run the image an engine reports under imageID.
func (p Permit) Permits(component string, imageID Digest) bool {
	return p.Valid() && p.subject.Component == component && p.subject.Has(imageID)
}
