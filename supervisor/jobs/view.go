package jobs

import (
	"errors"
	"strconv"
)

// View is a job as the API gives it, with all keys; a pointer that is nil is null.
type View struct {
	Fields
	Children []View `json:"child_jobs"` // oldest first
}

// Event is a job as events give it: without its tree, with what it is part of.
type Event struct {
	Fields
	Parent *string `json:"parent_id"`

	// Root is the ID of the topmost job, and its reference: whoever may see that one may see this.
	Root      string `json:"-"`
	RootAbout string `json:"-"`
}

// Fields are those of a job that views and events share.
type Fields struct {
	Name      string         `json:"name"`
	Reference *string        `json:"reference"`
	UUID      string         `json:"uuid"`
	Progress  Percent        `json:"progress"`
	Stage     *string        `json:"stage"`
	Done      *bool          `json:"done"`    // null = not started, false = running
	Created   string         `json:"created"` // ISO 8601 with offset: 2026-11-25T23:05:52.000000+00:00
	Errors    []Error        `json:"errors"`
	Extra     map[string]any `json:"extra"`
}

// TimeLayout is how times of jobs are written.
const TimeLayout = "2006-01-02T15:04:05.000000-07:00"

// Percent is 0 to 100, with one decimal in JSON.
type Percent float64

// MarshalJSON implements [json.Marshaler].
func (p Percent) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(p), 'f', 1, 64), nil
}

// Error is what went wrong, as the API gives it. Work may return one, also wrapped.
type Error struct {
	Type    string         `json:"type"` // a class of Home Assistant's: HassioError, AddonsError
	Message string         `json:"message"`
	Stage   *string        `json:"stage"` // the job's, unless it is set
	Key     *string        `json:"error_key"`
	Fields  map[string]any `json:"extra_fields"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// describe makes of an error what clients read.
func (m *Manager) describe(err error) (told Error) {
	defer func() {
		if p := recover(); p != nil { // an error without a usable text is one all the same
			m.cfg.Log.Error("cannot describe a job's error", "panic", p)
			told = Error{Type: "HassioError", Message: "unknown error; the daemon's log says more"}
		}
	}()
	var e *Error
	if errors.As(err, &e) {
		said := *e
		said.Message = err.Error()
		return said
	}
	if m.cfg.Describe != nil {
		return m.cfg.Describe(err)
	}
	return Error{Type: "HassioError", Message: err.Error()}
}

// fields of the job as it is. The caller holds mu.
func (j *Job) fields() Fields {
	f := Fields{
		Name: j.spec.Name, Reference: orNull(j.spec.Reference), UUID: j.id, Progress: Percent(j.progress), Stage: orNull(j.stage),
		Created: j.created.UTC().Format(TimeLayout), Errors: append([]Error{}, j.errors...),
	}
	if j.phase != queued {
		done := j.phase == over
		f.Done = &done
	}
	if len(j.extra) > 0 || j.total > 0 {
		f.Extra = make(map[string]any, len(j.extra)+2)
		if j.total > 0 {
			f.Extra["current"], f.Extra["total"] = j.done, j.total
		}
		for k, v := range j.extra {
			f.Extra[k] = v
		}
	}
	return f
}

func (j *Job) view() View {
	v := View{Fields: j.fields(), Children: []View{}}
	for _, c := range j.children {
		v.Children = append(v.Children, c.view())
	}
	return v
}

func (j *Job) event() Event {
	r := j.root()
	e := Event{Fields: j.fields(), Root: r.id, RootAbout: r.spec.Reference}
	if j.parent != nil {
		id := j.parent.id
		e.Parent = &id
	}
	return e
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
