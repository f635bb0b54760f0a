package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/state"
)

func TestAStuckServiceSaysWhyAndRollbackTriesAgain(t *testing.T) {
	h := reloadable(t, oneService)
	if err := h.journal.Update(func(tx *state.Tx) error {
		return errors.Join(
			tx.Put("service", "radio", []byte(`{"format":1,"service":{"name":"radio"},"current":{"version":"1"}}`)),
			tx.Put("service", "lamp", []byte(`{"format":1,"service":{"name":"lamp"},"current":{"version":"1"}}`)),
			tx.Put("open", "radio", []byte("c7")),
			tx.Put("change", "c7", []byte(`{"format":1,"id":"c7","service":{"name":"radio"},"state":"stuck","record":9,"why":"it is ill","trouble":"the disk is gone"}`)))
	}); err != nil {
		t.Fatal(err)
	}
	want := func(err error, status int, says, next string) {
		t.Helper()
		var answer *api.Error
		if !errors.As(err, &answer) || answer.Status != status || !strings.Contains(answer.Message, says) || !strings.Contains(answer.Next, next) {
			t.Errorf("%#v, want %d, %q, next %q", err, status, says, next)
		}
	}
	_, err := h.Update(t.Context(), api.UpdateRequest{Service: "radio"})
	want(err, http.StatusConflict, "radio is stuck: it is ill; then the disk is gone", "castellan rollback radio")
	_, err = h.Update(t.Context(), api.UpdateRequest{Service: "lamp"})
	want(err, http.StatusConflict, "not in the configuration any more", "add it to")
	_, err = h.Update(t.Context(), api.UpdateRequest{Service: "tv"})
	want(err, http.StatusNotFound, `no service "tv"`, "castellan status")
	_, err = h.Rollback(t.Context(), "tv")
	want(err, http.StatusNotFound, `no service "tv"`, "castellan status")

	acc, err := h.Rollback(t.Context(), "radio")
	if err != nil || len(acc.Changes) != 1 || acc.Changes[0] != "c7" {
		t.Fatalf("rollback: %+v, %v", acc, err)
	}
	if c, err := h.manager.Change("c7"); err != nil || c.State != supervisor.StateRollingBack {
		t.Errorf("the change is %s, %v", c.State, err)
	}
}

func TestTheWatchdogIsNotFedWhileTheUpdateLoopHangs(t *testing.T) {
	h := reloadable(t, oneService)
	h.setTurn(time.Now().Add(-turnLimit - time.Second))
	if err := h.alive(t.Context()); err == nil || !strings.Contains(err.Error(), "the update loop hangs") {
		t.Errorf("alive: %v", err)
	}
}
