package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/updater"
)

// quarry knows the size of images; asks counts.
type quarry struct {
	asks  atomic.Int32
	hangs bool
	index trust.Digest
	err   error
}

func (q *quarry) Resolve(ctx context.Context, _ string, _ trust.Class, _, _ string) (supervisor.Resolved, error) {
	q.asks.Add(1)
	if q.hangs {
		<-ctx.Done()
		return supervisor.Resolved{}, ctx.Err()
	}
	return supervisor.Resolved{Subject: trust.Subject{Index: q.index}, Size: 7}, q.err
}

func TestSizesAreAskedForOnceAndInBoundedTime(t *testing.T) {
	digest := trust.DigestOf([]byte("x"))
	for _, c := range []struct {
		name   string
		quarry *quarry
		target updater.Target
		after  time.Duration
		asks   int32 // for three looks, the last after a while
		want   string
	}{
		{"by tag", &quarry{}, updater.Target{Reference: "r/x:1"}, tagKept + 1, 2, "7 true "},
		{"by digest, for good", &quarry{index: digest}, updater.Target{Reference: "r/x:1", Digest: digest}, 1000 * time.Hour, 1, "7 true "},
		{"another image", &quarry{}, updater.Target{Reference: "r/x:1", Digest: digest}, time.Second, 1, "0 false the registry has another image"},
		{"fails", &quarry{err: errors.New("no route")}, updater.Target{Reference: "r/x:1"}, failureKept + 1, 2, "0 false no route"},
		{"hangs", &quarry{hangs: true}, updater.Target{Reference: "r/x:1"}, 0, 3, "0 false its registry did not answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sizes{turn: make(chan struct{}, 1)}
				want := map[string]updater.Target{"x": c.target}
				var rows []api.PlanService
				for i := range 3 {
					if i == 2 {
						time.Sleep(c.after)
					}
					rows = []api.PlanService{{Service: "x"}, {Service: "other"}}
					began := time.Now()
					s.fill(t.Context(), c.quarry, want, rows)
					if took := time.Since(began); took > sizesWithin {
						t.Errorf("took %s", took)
					}
				}
				got := fmt.Sprint(rows[0].Bytes, " ", rows[0].Known, " ", rows[0].Trouble)
				if n := c.quarry.asks.Load(); n != c.asks || !strings.HasPrefix(got, c.want) {
					t.Errorf("asked %d times, want %d; got %q, want %q", n, c.asks, got, c.want)
				}
				if rows[1].Known || rows[1].Trouble != "" {
					t.Errorf("%+v", rows[1])
				}
			})
		})
	}
}

func TestPreviewSaysWhatWouldHappen(t *testing.T) {
	installed := []updater.Installed{
		{Service: "core", Class: "core", Mode: updater.ModeAuto, Version: "1", Want: updater.Target{Reference: "r/core:2", Version: "2"}},
		{Service: "addon_x", Class: "addon", Mode: updater.ModeAsk, Version: "1", Want: updater.Target{Reference: "r/x:2", Version: "2"},
			Addon: &updater.Addon{Slug: "x", Breaking: []string{"2"}, Options: "port is missing", Asks: []string{"usb"}}},
		{Service: "radio", Class: "addon", Version: "3", Want: updater.Target{Reference: "r/radio:3", Version: "3"}},
	}
	status := []supervisor.Status{
		{Service: supervisor.Service{Name: "core"}, Current: &supervisor.Slot{}},
		{Service: supervisor.Service{Name: "addon_x"}, Current: &supervisor.Slot{}, Stopped: "by its owner"},
		{Service: supervisor.Service{Name: "radio"}, Current: &supervisor.Slot{}},
	}
	plan := updater.NewPlan(installed, nil, at, updater.OwnerRequest{})
	rows := preview(plan, installed, status)
	b, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"service":"core","class":"core","mode":"auto","from":"1","to":"2","moves":true,"bytes":0,"bytes_known":false,"restarts":true,"breaking":false,"consent":[]}`,
		`"code":"consent"`, `"next":"castellan addon consent x"`, `"restarts":false,"breaking":true,"options":"port is missing","consent":["usb"]`,
		`"to":"3","moves":false,"code":"up-to-date","why":"runs 3, the newest offered","bytes":0,"bytes_known":false,"restarts":false`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s\nlacks %s", b, want)
		}
	}
	if got := targets(plan); len(got) != 2 || got["core"].Reference != "r/core:2" || got["addon_x"].Version != "2" {
		t.Errorf("registries would be asked for %v", got)
	}
}
