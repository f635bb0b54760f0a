package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/castellan/castellan/supervisor/events"
)

// IssueEvent is an issue with what helps against it, as events have it.
type IssueEvent struct {
	Issue
	Suggestions []Suggestion `json:"suggestions"`
}

// reviewed is what was told of the resolution centre last.
type reviewed struct {
	mu                sync.Mutex
	issues            map[string]IssueEvent // by UUID
	healthy, supports string                // JSON of what was told, "" = nothing
}

// Review tells what is new in the resolution centre since it was called last: issues that came and went, health, support.
func (s *Server) Review(ctx context.Context) error {
	now, err := s.getResolution(ctx, Caller{}, none{})
	if err != nil {
		return err
	}
	r := &s.reviewed
	r.mu.Lock()
	defer r.mu.Unlock()
	issues := map[string]IssueEvent{}
	for _, i := range now.Issues {
		e := IssueEvent{Issue: i, Suggestions: []Suggestion{}}
		if help, ok := i.help(); ok && slices.ContainsFunc(now.Suggestions, func(g Suggestion) bool { return g.UUID == help.UUID }) {
			e.Suggestions = append(e.Suggestions, help)
		}
		issues[i.UUID] = e
	}
	for _, id := range slices.Sorted(maps.Keys(issues)) {
		if before, ok := r.issues[id]; !ok || len(before.Suggestions) != len(issues[id].Suggestions) {
			s.publish(eventOf(events.IssueChanged, id, issues[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.issues)) {
		if _, ok := issues[id]; !ok {
			s.publish(eventOf(events.IssueRemoved, id, r.issues[id].Issue))
		}
	}
	r.issues = issues
	s.once(&r.healthy, events.HealthChanged, "health", events.Health{Healthy: len(now.Unhealthy) == 0, Reasons: now.Unhealthy})
	s.once(&r.supports, events.SupportedChanged, "supported", events.Support{Supported: len(now.Unsupported) == 0, Reasons: now.Unsupported})
	return nil
}

// reviewOrWarn is Review for a call that has done its work.
func (s *Server) reviewOrWarn(ctx context.Context) {
	if err := s.Review(ctx); err != nil {
		s.cfg.Log.Warn("cannot tell what is wrong", "error", err)
	}
}

// once publishes what differs from what was told.
func (s *Server) once(told *string, topic events.Topic, key string, data any) {
	b, err := json.Marshal(data)
	if err == nil && string(b) == *told {
		return
	}
	*told = string(b)
	s.publish(eventOf(topic, key, data))
}

func eventOf(topic events.Topic, key string, data any) events.Event {
	return events.Event{About: events.About{Topic: topic, Key: key}, Data: data}
}
