package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
)

// Bounds of counting verdicts by day.
const (
	daysCounted     = 31
	verdictsCounted = 50000 // that are read the first time
)

// verdictDays counts verdicts by day. Only what the log got since the last time is read.
type verdictDays struct {
	mu   sync.Mutex
	zone string // days are those of this zone
	upTo uint64 // the last record that is counted
	days map[string]api.LogDay
}

// last are the counts of that many days up to now, oldest first, those without a verdict too.
func (d *verdictDays) last(ctx context.Context, log *audit.Log, zone *time.Location, n int, now time.Time) ([]api.LogDay, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.zone != zone.String() {
		d.zone, d.upTo, d.days = zone.String(), 0, map[string]api.LogDay{}
	}
	if err := d.read(ctx, log, zone, now); err != nil {
		return nil, err
	}
	oldest := now.In(zone).AddDate(0, 0, -daysCounted).Format(time.DateOnly)
	for day := range d.days {
		if day < oldest {
			delete(d.days, day)
		}
	}
	out := make([]api.LogDay, 0, n)
	for i := n - 1; i >= 0; i-- {
		day := now.In(zone).AddDate(0, 0, -i).Format(time.DateOnly)
		one := d.days[day]
		one.Day = day
		out = append(out, one)
	}
	return out, nil
}

func (d *verdictDays) read(ctx context.Context, log *audit.Log, zone *time.Location, now time.Time) error {
	last, n := log.Last(), 0
	since := now.AddDate(0, 0, -daysCounted)
	fresh := map[string]api.LogDay{} // a walk that breaks off counts nothing
	for rec, err := range log.Records(audit.Filter{Kinds: []audit.Kind{audit.KindVerdict}, From: d.upTo + 1, To: last, Since: since, Newest: true}) {
		if n++; n > verdictsCounted {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var p audit.VerdictPayload
		if err != nil || json.Unmarshal(rec.Payload, &p) != nil {
			continue // a damaged line is told of where the log is checked
		}
		day := rec.Time.In(zone).Format(time.DateOnly)
		one := fresh[day]
		switch p.Verdict.Outcome {
		case trust.Allow:
			one.Allowed++
		case trust.AllowUnsigned:
			one.Unsigned++
		case trust.AllowOverridden:
			one.Forced++
		case trust.Defer:
			one.Deferred++
		case trust.Refuse:
			one.Refused++
		}
		fresh[day] = one
	}
	for day, more := range fresh {
		one := d.days[day]
		one.Allowed, one.Unsigned, one.Forced = one.Allowed+more.Allowed, one.Unsigned+more.Unsigned, one.Forced+more.Forced
		one.Deferred, one.Refused = one.Deferred+more.Deferred, one.Refused+more.Refused
		d.days[day] = one
	}
	d.upTo = last
	return nil
}

// Days implements api.Log.
func (v logView) Days(ctx context.Context, n int) ([]api.LogDay, error) {
	zone, err := time.LoadLocation(v.zone)
	if err != nil || v.zone == "" {
		zone = time.UTC
	}
	return v.days.last(ctx, v.log, zone, n, time.Now())
}
