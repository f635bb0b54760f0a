package health

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/castellan/castellan/supervisor/spec"
)

// coreOf is a transport to a Core without a network, so that time can be the test's: state follows its age, "" is no answer.
type coreOf struct {
	began time.Time
	state func(age time.Duration) string
}

func (c coreOf) RoundTrip(r *http.Request) (*http.Response, error) {
	state := c.state(time.Since(c.began))
	if state == "" {
		return nil, errors.New("connection refused")
	}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}
	body := map[string]string{"/api/core/state": state, "/api/config": allThere, "/": "<html>"}[r.URL.Path]
	resp.Header.Set("Content-Type", "text/html")
	resp.Body = io.NopCloser(strings.NewReader(body))
	if r.URL.Path == "/api/websocket" {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		resp.StatusCode = http.StatusSwitchingProtocols
		resp.Header.Set("Connection", "Upgrade")
		resp.Header.Set("Upgrade", "websocket")
		resp.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
		ours, theirs := net.Pipe()
		go func() {
			const hello = `{"type":"auth_required"}`
			_, _ = ours.Write(append([]byte{0x81, byte(len(hello))}, hello...))
			_, _ = bufio.NewReader(ours).ReadByte() // until it is closed
			_ = ours.Close()
		}()
		resp.Body = theirs
	}
	return resp, nil
}

func TestDeadlineMovesWhileCoreStartsAndMigrates(t *testing.T) {
	const (
		starting  = `{"state":"STARTING"}`
		migrating = `{"state":"STARTING","recorder_state":{"migration_in_progress":true}}`
		live      = `{"state":"STARTING","recorder_state":{"migration_in_progress":true,"migration_is_live":true}}`
	)
	// from says what the state is after a while: "0s STARTING", ….
	type from struct {
		age   time.Duration
		state string
	}
	for _, c := range []struct {
		name   string
		states []from
		want   string
		took   time.Duration
	}{
		{"runs soon", []from{{30 * time.Second, starting}, {time.Minute, running}}, "", time.Minute + 10*time.Second},
		{"answers late", []from{{9 * time.Minute, starting}, {14 * time.Minute, running}}, "", 14*time.Minute + 10*time.Second},
		{"never answers", nil, `check "core" failed 120 of 120 times in 10m0s (last: /api/core/state: connection refused)`, 10 * time.Minute},
		{"answers and never runs", []from{{0, starting}}, `check "core" failed 180 of 180 times in 15m0s (last: its state is "STARTING", not RUNNING)`, 15 * time.Minute},
		{"a live migration is no reason", []from{{0, live}}, `check "core" failed 180 of 180 times in 15m0s (last: its state is "STARTING", not RUNNING)`, 15 * time.Minute},
		{"migrates for an hour, then starts", []from{{time.Minute, migrating}, {time.Hour, starting}, {70 * time.Minute, running}}, "", 70*time.Minute + 10*time.Second},
		{"migrates, then hangs", []from{{0, migrating}, {time.Hour, ""}}, `check "core" failed 899 of 899 times in 1h14m55s (last: /api/core/state: connection refused)`, 75*time.Minute - 5*time.Second},
		{"migrates for ever", []from{{0, migrating}}, `check "core" failed 4320 of 4320 times in 6h0m0s (last: it migrates its database)`, MaxDeadline},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := tokenFile(t, goodToken)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				old := coreClient
				defer func() { coreClient = old }()
				coreClient = &http.Client{Transport: coreOf{began, func(age time.Duration) (state string) {
					for _, f := range c.states {
						if age >= f.age {
							state = f.state
						}
					}
					return state
				}}}
				gate := spec.Health{Deadline: 10 * time.Minute, Checks: []spec.Check{{Name: "core", Core: &spec.CoreCheck{TokenFile: token}, Period: 5 * time.Second, Timeout: time.Minute}}}
				err := Run(t.Context(), app{}.target(), gate, nil)
				if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
					t.Errorf("got  %v\nwant %s", got, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
}

func TestSleepSeesTheDeadlineMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, clock := start(t.Context(), 10*time.Second)
		defer clock.stop()
		time.AfterFunc(5*time.Second, func() { clock.grant(&waiting{total: 40 * time.Second}) })
		if !clock.sleep(ctx, 30*time.Second) || time.Since(began) != 30*time.Second {
			t.Errorf("slept %v", time.Since(began))
		}
		if clock.sleep(ctx, 10*time.Second) || time.Since(began) != 40*time.Second || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("slept over the deadline: %v, %v", time.Since(began), ctx.Err())
		}
		clock.grant(&waiting{total: time.Hour})
		if clock.within() != 40*time.Second {
			t.Error("a deadline that has passed was moved")
		}
	})
}
