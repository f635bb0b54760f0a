package main

import (
	"log/slog"
	"maps"
	"testing"
	"time"
)

func TestAttributesBecomeJournalFields(t *testing.T) {
	base := &journalHandler{level: slog.LevelInfo}
	h := base.WithAttrs([]slog.Attr{slog.String("service", "core")}).WithGroup("pull").(*journalHandler)
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "slow mirror", 0)
	r.AddAttrs(slog.Int("bytes", 7), slog.Group("mirror", slog.String("url-host", "a\nb")))
	text, vars := h.entry(r)
	if want := `slow mirror service="core" pull_bytes="7" pull_mirror_url-host="a\nb"`; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	want := map[string]string{"CASTELLAN_SERVICE": "core", "CASTELLAN_PULL_BYTES": "7", "CASTELLAN_PULL_MIRROR_URL_HOST": "a\nb"}
	if !maps.Equal(vars, want) {
		t.Errorf("got %v, want %v", vars, want)
	}
	if h.Enabled(t.Context(), slog.LevelDebug) || len(base.fields) != 0 {
		t.Error("levels or handlers leak into each other")
	}
}
