package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
)

// change runs a command that makes one change and returns it as it ended.
func (d *demo) change(ctx context.Context, exit int, args ...string) (api.Change, error) {
	var list api.ChangeList
	done := d.showStages(ctx)
	err := d.castellan(ctx, exit, &list, append(args, "--json")...)
	done()
	if err != nil {
		return api.Change{}, err
	}
	if len(list.Changes) != 1 {
		return api.Change{}, fmt.Errorf("castellan %s: %d changes, want 1", strings.Join(args, " "), len(list.Changes))
	}
	return list.Changes[0], nil
}

// showStages shows the newest change's way on the terminal, a word a stage as it is reached, until done is called.
func (d *demo) showStages(ctx context.Context) (done func()) {
	if d.check {
		return func() {}
	}
	c := client.New(d.socket())
	last := func() (newest api.Change) {
		if list, err := c.Changes(context.WithoutCancel(ctx)); err == nil && len(list.Changes) > 0 { // a daemon that is away shows nothing
			newest = list.Changes[0]
		}
		return newest
	}
	before := last().ID
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		shown := ""
		for {
			over := ctx.Err() != nil
			if ch := last(); ch.ID != before && ch.State != shown {
				if shown == "" {
					fmt.Printf("     %s %s:", ch.Service, ch.To)
				}
				fmt.Print(" ", ch.State)
				shown = ch.State
			}
			if over {
				if shown != "" {
					fmt.Println()
				}
				return
			}
			pause(ctx, 15*time.Millisecond)
		}
	}()
	return func() { cancel(); <-ended }
}

func (d *demo) service(ctx context.Context, name string) (api.ServiceStatus, error) {
	var st api.Status
	if err := d.castellan(ctx, 0, &st, "status", "--json"); err != nil {
		return api.ServiceStatus{}, err
	}
	for _, s := range st.Services {
		if s.Name == name {
			return s, nil
		}
	}
	return api.ServiceStatus{}, fmt.Errorf("castellan status shows no service %q", name)
}

// answers wants core's own voice over its published port.
func (d *demo) answers(ctx context.Context, want string) error {
	got, err := get(ctx, fmt.Sprintf("http://127.0.0.1:%d/", d.port))
	if err != nil {
		return err
	}
	if strings.TrimSpace(got) != want {
		return fmt.Errorf("core answers %q, want %q", got, want)
	}
	d.say("curl http://127.0.0.1:%d/ -> %s", d.port, want)
	return nil
}

// watch asks core every few milliseconds; the returned function ends it and says how long core did not answer.
func (d *demo) watch(ctx context.Context) (outage func() time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan time.Duration, 1)
	client := &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		var first, last time.Time
		for ctx.Err() == nil {
			at := time.Now()
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", d.port))
			if err == nil {
				_ = resp.Body.Close() // only that it answers counts
			} else {
				if first.IsZero() {
					first = at
				}
				last = time.Now()
			}
			pause(ctx, 5*time.Millisecond)
		}
		done <- last.Sub(first)
	}()
	return func() time.Duration { cancel(); return <-done }
}

// until tries again until check is content, a limit or the end.
func (d *demo) until(ctx context.Context, limit time.Duration, check func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, 100*time.Millisecond) {
			return errors.Join(ctx.Err(), fmt.Errorf("not within %s: %w", limit, err))
		}
	}
}

func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return string(b), err
}

// bin is a program that `make build` has put beside the demo.
func bin(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
