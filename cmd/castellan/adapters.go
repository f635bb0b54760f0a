package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/updater"
	"github.com/castellan/castellan/updater/registry"
)

// maxChannelFile bounds a channel file, in bytes.
const maxChannelFile = 1 << 20

// fetcher is updater/registry as the supervisor sees it.
type fetcher struct{ resolver *registry.Resolver }

var _ supervisor.Fetcher = fetcher{}

// Resolve implements supervisor.Fetcher.
func (f fetcher) Resolve(ctx context.Context, service string, class trust.Class, reference, version string) (supervisor.Resolved, error) {
	r, err := f.resolver.Resolve(ctx, service, class, reference, version)
	return supervisor.Resolved{Subject: r.Subject, Raw: r.Raw, Size: r.Size}, err
}

// story is the verification log as the supervisor sees it.
type story struct{ log *audit.Log }

var _ supervisor.Story = story{}

// RecordAction implements supervisor.Story.
func (s story) RecordAction(ctx context.Context, a supervisor.Action) (uint64, error) {
	return s.log.Append(ctx, audit.KindAction, a)
}

// channelRecords asks the replica what a channel is.
type channelRecords struct {
	replica  *ledger.Replica
	evidence func(trust.Subject) (trust.Evidence, error) // the replica, with the owner's own words
	roots    *roots
	policy   func() trust.Policy
}

var _ updater.ChannelRecords = channelRecords{}

// Current implements updater.ChannelRecords.
func (c channelRecords) Current(channel string) (trust.Digest, bool, error) {
	root, _ := c.roots.current()
	policy := c.policy()
	ev, err := c.evidence(trust.Subject{Class: trust.ClassCore})
	if err != nil {
		return "", false, err
	}
	facts, err := trust.CollectChannel(ev, channel, root, policy.House)
	if err != nil {
		return "", false, err
	}
	d, _, ok := trust.CurrentChannel(facts, root, policy, channel)
	return d, ok, nil
}

// Fetch implements updater.ChannelRecords.
func (c channelRecords) Fetch(ctx context.Context, d trust.Digest) ([]byte, error) {
	return c.replica.FetchFile(ctx, d, maxChannelFile)
}

// fileStore keeps one file durably.
type fileStore string

// Load is nil without an error when nothing was saved yet.
func (f fileStore) Load() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Save returns after the bytes survive a power cut.
func (f fileStore) Save(b []byte) error { return durable.WriteFile(string(f), b, 0o600) }

// clockSynced asks the kernel whether a time server has set the clock (adjtimex(2)).
func clockSynced() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// credentials reads the registry credentials file: {"<host>": {"username": …, "password": …}}. Its content never
// appears in an error.
func credentials(path string) (map[string]registry.Credential, error) {
	if path == "" {
		return nil, nil
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read registry.credentials_file: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cannot use registry.credentials_file %s: others may read it; run: chmod 600 %s", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read registry.credentials_file: %w", err)
	}
	var raw map[string]struct{ Username, Password string }
	if json.Unmarshal(b, &raw) != nil {
		return nil, fmt.Errorf(`cannot read registry.credentials_file %s: want {"host": {"username": "…", "password": "…"}}`, path)
	}
	out := make(map[string]registry.Credential, len(raw))
	for host, c := range raw {
		out[host] = registry.Credential{Username: c.Username, Password: c.Password}
	}
	return out, nil
}
