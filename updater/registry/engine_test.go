package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/castellan/castellan/tests/testenv"
)

// enginePull asks a real engine to pull ref and reads its stream to the end, where errors are.
func enginePull(ctx context.Context, host, ref string) error {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(host, "unix://"))
	}}}
	req, err := http.NewRequestWithContext(ctx, "POST", "http://engine/images/create?fromImage="+url.QueryEscape(ref), nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var line struct {
			Error string `json:"error"`
		}
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		} else if line.Error != "" {
			return errors.New(line.Error)
		}
	}
}

func TestRealEnginePullsPastFaultyMirrors(t *testing.T) {
	engine := testenv.Engine(t)
	for name, f := range map[string]fault{
		"good": pass, "cut": cutAt(300_000), "stall": stallAt(300_000), "flipped byte": flipAt(77), "503": status(503),
	} {
		t.Run(name, func(t *testing.T) {
			content := newContent()
			bad, good := newHub(t, content), newHub(t, content)
			push(t, good, "home/core", "1", image(t, amd64, 1<<20, 3))
			u := newUp(t, UpstreamConfig{Mirrors: map[string][]string{"r.invalid": {bad.URL, good.URL}}})
			res := mustResolve(t, u, amd64, "r.invalid/home/core:1", "1")
			bad.breaks(onLayers(res.Subject.Config, f))
			dir := t.TempDir()
			s := serve(t, Config{Dir: dir, Upstream: u})
			o := mustOffer(t, s, res)
			if err := enginePull(t.Context(), engine, o.Ref()); err != nil {
				t.Error(err)
			}
			if done, total := o.Progress(); done != res.Size || total != res.Size {
				t.Errorf("progress %d of %d, want %d", done, total, res.Size)
			}
			o.Release()
			if left := files(t, dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// An engine goes on trying for more than a minute after any 5xx, and shows nothing but the status.
func TestRealEngineStopsAtOnceAndSaysWhy(t *testing.T) {
	engine := testenv.Engine(t)
	h := newHub(t, newContent())
	push(t, h, "home/core", "1", image(t, amd64, 1<<20, 1))
	u := newUp(t, UpstreamConfig{})
	res := mustResolve(t, u, amd64, h.host()+"/home/core:1", "1")
	h.breaks(onLayers(res.Subject.Config, status(429)))
	s := serve(t, Config{Upstream: u})
	o := mustOffer(t, s, res)
	defer o.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := enginePull(ctx, engine, o.Ref())
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), ErrRateLimited.Error()) || !strings.Contains(err.Error(), nextStep[ErrRateLimited]) {
		t.Errorf("the engine says %v", err)
	}
}
