package trust

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// GateConfig is what a [Gate] stands on. All fields but Security are needed.
type GateConfig struct {
	// Evidence gives the replica of the one ledger a subject is judged by: the root's for what [Root.Names], for an
	// add-on that of its repository if one was pinned.
	Evidence func(Subject) (Evidence, error)
	// Security gives the root's ledger for a subject that another one judges, and nil for all others: the words of
	// the root's security publishers count there too.
	Security func(Subject) (Evidence, error)
	// Roots gives the newest verified root document, and RootMissing or RootExpired when that is known of it.
	Roots func() (Root, Reason)
	// Policy gives the policy as it concerns a component: its map may hold no other.
	Policy func(component string) Policy
	Memory *Memory
	Clock  *Clock
	Log    Recorder
}

// Gate judges, writes the verdict down, and only then gives a permit. It is safe for concurrent use.
type Gate struct{ cfg GateConfig }

// NewGate makes a Gate, or says what is missing.
func NewGate(cfg GateConfig) (*Gate, error) {
	if cfg.Evidence == nil || cfg.Roots == nil || cfg.Policy == nil || cfg.Memory == nil || cfg.Clock == nil || cfg.Log == nil {
		return nil, errors.New("cannot make a gate: evidence, roots, policy, memory, clock and log must all be given")
	}
	return &Gate{cfg}, nil
}

// Admit judges r, uses a matching override if one is needed, writes the verdict down and mints a permit, in this
// order, each durable before the next. err is nil exactly when the permit is valid. Otherwise it is a *[RefusedError]
// or *[DeferredError] with the verdict inside — a replica that can't be read is a deferral —, or a failure of the
// appliance's own disk. It can run any number of times for one change: an override it has used stays with the change.
func (g *Gate) Admit(ctx context.Context, r Request) (Permit, Verdict, error) {
	in, v := g.judge(r)
	g.remember(in, v)
	in, v, err := g.force(in, v)
	if err != nil {
		return Permit{}, v, err
	}
	seq, err := g.record(ctx, v, in)
	if err != nil {
		return Permit{}, v, err
	}
	if !v.Outcome.Allowed() {
		return Permit{}, v, v.Err()
	}
	if g.pins(v) {
		if err := g.cfg.Memory.pin(r.Subject.Component, v.Publisher, v.Head.Origin); err != nil {
			return Permit{}, v, err
		}
	}
	return Permit{subject: v.Subject, outcome: v.Outcome, seq: seq}, v, nil
}

// Decide is [Gate.Admit] without any effect: nothing is logged, used up or remembered. A waiting override that would
// help counts as if r.Change used it.
func (g *Gate) Decide(ctx context.Context, r Request) (Verdict, error) {
	if err := ctx.Err(); err != nil {
		return Verdict{}, err
	}
	in, v := g.judge(r)
	if _, forced, ok := g.overridden(in, v); ok {
		return forced, nil
	}
	return v, nil
}

// Against lists what an override would have to cover to let r in, and the first thing none can cover, see [Against].
func (g *Gate) Against(ctx context.Context, r Request) ([]Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in, _ := g.judge(r)
	return Against(in), nil
}

// Healthy tells that the image of an admitted verdict has passed probation: the component's floor rises to it. A
// forced or unsigned image raises nothing. It can run twice.
func (g *Gate) Healthy(_ context.Context, v Verdict) error {
	if v.Outcome != Allow {
		return nil
	}
	root, _ := g.cfg.Roots()
	byRoot := v.Subject.Class == ClassCore || v.Subject.Class == ClassSupervisor
	return g.cfg.Memory.raise(v.Subject.Component, v.Head.Origin, v.Floor, byRoot && slices.Contains(origins(root), v.Head.Origin))
}

// Rejudge judges an installed image again, offline; r.Action is taken as [Rejudge]. changed tells whether the outcome
// or its reason is another than the last one in the log for this component and image; only then is it logged.
func (g *Gate) Rejudge(ctx context.Context, r Request) (v Verdict, changed bool, err error) {
	r.Action = Rejudge
	in, v := g.judge(r)
	g.remember(in, v)
	if g.cfg.Memory.noted(v) {
		return v, false, nil
	}
	if _, err := g.record(ctx, v, in); err != nil {
		return v, true, err
	}
	return v, true, nil
}

// judge collects and judges. What can't be collected is a deferral with the reason its error stands for.
func (g *Gate) judge(r Request) (Input, Verdict) {
	now, ok := g.cfg.Clock.Now()
	root, state := g.cfg.Roots()
	mem := g.cfg.Memory
	in := Input{
		Request: r, Root: root, RootState: state, Policy: g.cfg.Policy(r.Subject.Component),
		Pin: mem.Pin(r.Subject.Component), Denied: mem.Denied(), Sticky: mem.marksFor(r.Subject.Digests()),
		Now: now, ClockBad: !ok,
	}
	also := []string{in.Policy.House, in.Policy.Map[r.Subject.Component]}
	if in.Pin != nil {
		also = append(also, in.Pin.Publisher)
	}
	ev, err := g.cfg.Evidence(r.Subject)
	if err == nil && ev == nil {
		err = fmt.Errorf("no ledger is known for %q", r.Subject.Component)
	}
	if err == nil {
		in.Facts, err = Collect(ev, r.Subject, r.Channel, root, also...)
	}
	if err == nil {
		in.Facts.Security, err = g.above(r.Subject, root)
	}
	if err != nil {
		in.Facts, in.Unread = Facts{}, &Finding{Reason: ReasonOf(err), Detail: err.Error()}
	}
	return in, Judge(in)
}

func (g *Gate) above(s Subject, root Root) (*Facts, error) {
	if g.cfg.Security == nil {
		return nil, nil
	}
	ev, err := g.cfg.Security(s)
	if err != nil || ev == nil {
		return nil, err
	}
	return CollectSecurity(ev, s, root)
}

// remember keeps a withdrawal for the day its record is not in the replica any more. Without the mark the record
// itself still speaks, so a failed write is left to the next judgement.
func (g *Gate) remember(in Input, v Verdict) {
	if v.Reason() != Revoked || v.Outcome != Refuse {
		return
	}
	ids, _ := accepted(in.Subject, in.Root, in.Policy, in.Pin)
	if _, mark, ok := newWords(&in.Facts, &in.Root, in.Sticky).withdrawal(ids, in.Subject.Digests()); ok {
		_ = g.cfg.Memory.mark(mark) // see above
	}
}

// overridden judges again with each override that waits for the subject, until one lets it in.
func (g *Gate) overridden(in Input, v Verdict) (Input, Verdict, bool) {
	if v.Outcome.Allowed() {
		return in, v, false
	}
	for _, o := range g.cfg.Memory.overridesFor(in.Subject, in.Change, in.Now) {
		try := in
		try.Override = &o
		if got := Judge(try); got.Outcome == AllowOverridden {
			return try, got, true
		}
	}
	return in, v, false
}

// force uses an override up if one is needed and there. Its consumption is on disk before the verdict is logged, so a
// cut between the two finds it bound to this change, and to no other.
func (g *Gate) force(in Input, v Verdict) (Input, Verdict, error) {
	for {
		try, _, ok := g.overridden(in, v)
		if !ok {
			return in, v, nil
		}
		err := g.cfg.Memory.consume(try.Override.ID, in.Change)
		if errors.Is(err, errOverrideUsed) {
			continue // somebody was faster; it is no longer in the list
		}
		if err != nil {
			return in, v, err
		}
		try.Override.UsedBy = in.Change
		return try, Judge(try), nil
	}
}

// record writes a verdict down. That it is remembered as the last one only saves log lines, so a failure there is
// left to the next re-judgement.
func (g *Gate) record(ctx context.Context, v Verdict, in Input) (uint64, error) {
	seq, err := g.cfg.Log.RecordVerdict(ctx, v, in)
	if err == nil && seq == 0 {
		err = errors.New("it gave no place")
	}
	if err != nil {
		return 0, fmt.Errorf("cannot write the verdict on %q to the verification log, so nothing acts on it: %w", v.Subject.Component, err)
	}
	_ = g.cfg.Memory.note(v) // see above
	return seq, nil
}

// pins tells whether a verdict's publisher is to be remembered: that of a signed add-on. Core has its publishers from
// the root, and the house key speaks digest by digest.
func (g *Gate) pins(v Verdict) bool {
	return v.Outcome == Allow && (v.Subject.Class == ClassAddon || v.Subject.Class == ClassLocal) && v.Publisher != g.cfg.Policy(v.Subject.Component).House
}
