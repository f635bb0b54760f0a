package web

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// The stream of a tab (WHATWG HTML §9.2): what the API's own stream says, with the same rights, bounds and place to go on
// from, as pages use it. Names are the topics, without data, for parts that are read anew; "progress-SERVICE" is a piece
// of HTML; "changed" says that a change began or ended, and "announce" puts its end in words for who listens.

// streamTopics are what pages look at.
var streamTopics = []string{"job", "addon", "supervisor_update", "issue_changed", "issue_removed", "store_reloaded", "change", "plan", "ledger", "log", "engine"}

// streamStuck is how long a tab may take to read what it is sent.
const streamStuck = 20 * time.Second

// stream answers a tab with its stream until it leaves, is logged out, or the daemon stops.
func (v *visit) stream() (answer, error) {
	last := cmp.Or(v.r.Header.Get("Last-Event-ID"), v.query("since"))
	feed, err := v.api.Events(v.ctx(), streamTopics, last)
	if err != nil {
		return answer{}, err
	}
	return answer{serve: func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		send := func(b []byte) bool {
			_ = c.SetWriteDeadline(time.Now().Add(streamStuck)) // a writer that knows no deadlines has none
			if _, err := w.Write(b); err != nil {
				return false
			}
			return c.Flush() == nil
		}
		if !send([]byte("retry: 2000\n\n")) {
			return
		}
		for e, err := range feed {
			if err != nil || e.Name == "dropped" || !send(v.frames(e.ID, e.Name, e.Data)) {
				return
			}
		}
	}}, nil
}

// frames are an event as the pages take it.
func (v *visit) frames(id, name string, data json.RawMessage) []byte {
	var b bytes.Buffer
	switch name {
	case "":
		b.WriteString(":\n")
	case "change":
		v.changeFrames(&b, data)
	default:
		frame(&b, name, "")
	}
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n\n", id)
	}
	return b.Bytes()
}

// changeFrames are those of a change: how far it is, and what is to be read anew when it begins or ends.
func (v *visit) changeFrames(b *bytes.Buffer, data json.RawMessage) {
	var c api.Change
	if json.Unmarshal(data, &c) != nil || c.Service == "" {
		return // the daemon's own words; the part is read anew with the next
	}
	var html strings.Builder
	if err := v.ui.in(v.lang).draw(&html, "progress", v.course(c)); err != nil {
		v.ui.cfg.Log.Error("cannot draw a progress", "error", err)
	}
	frame(b, "progress-"+c.Service, html.String())
	if c.Done {
		frame(b, "announce", v.course(c).Said())
	}
	if c.Done || c.State == "planned" {
		frame(b, "changed", "")
	}
}

// frame writes an event. Lines of the data become lines of the frame.
func frame(b *bytes.Buffer, name, data string) {
	b.WriteString("event: " + strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, name))
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), "\n") {
		b.WriteString("\ndata: " + line)
	}
	b.WriteString("\n\n")
}
