package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// newLogger writes to journald with fields where systemd connected stderr to it, so that
// `journalctl CASTELLAN_SERVICE=core` works, and as text to w elsewhere.
func newLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	if ok, err := journal.StderrIsJournalStream(); err == nil && ok {
		return slog.New(&journalHandler{level: level})
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// journalHandler sends each attribute as a journal field CASTELLAN_<KEY>; groups become part of the key.
type journalHandler struct {
	level  slog.Leveler
	prefix string
	fields []field
}

type field struct{ key, value string }

func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *h
	out.fields = slices.Clone(h.fields)
	for _, a := range attrs {
		out.fields = appendField(out.fields, h.prefix, a)
	}
	return &out
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	out := *h
	out.prefix = h.prefix + name + "_"
	return &out
}

func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	text, vars := h.entry(r)
	return journal.Send(text, priority(r.Level), vars)
}

// entry is a record as journald takes it: a line for people, and the fields behind it.
func (h *journalHandler) entry(r slog.Record) (string, map[string]string) {
	fields := slices.Clone(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		fields = appendField(fields, h.prefix, a)
		return true
	})
	text, vars := strings.Builder{}, make(map[string]string, len(fields))
	text.WriteString(r.Message)
	for _, f := range fields {
		fmt.Fprintf(&text, " %s=%q", f.key, f.value)
		vars["CASTELLAN_"+journalKey(f.key)] = f.value
	}
	return text.String(), vars
}

func appendField(to []field, prefix string, a slog.Attr) []field {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, sub := range v.Group() {
			to = appendField(to, prefix, sub)
		}
		return to
	}
	return append(to, field{prefix + a.Key, v.String()})
}

// journalKey is key as journald wants it: upper case letters, digits and underscores.
func journalKey(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, key)
}

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
