package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/castellan/castellan/supervisor/api"
	"github.com/castellan/castellan/supervisor/api/client"
	"github.com/castellan/castellan/supervisor/support"
)

// Bounds on the bundle that is kept.
const (
	bundleFor  = 10 * time.Minute
	mostBundle = 16 << 20 // bytes; a larger one is made anew when it is asked for
)

// supportDesk gathers support bundles for the API, by the API. It keeps the last one for a while: what is downloaded is what
// was looked at.
type supportDesk struct {
	*house
	mu   sync.Mutex // guards the rest
	id   string
	kept *support.Bundle
	gone *time.Timer
}

var _ api.Support = (*supportDesk)(nil)

// gather makes a bundle. It asks as the appliance itself does; who asks for it was let in as admin.
func (d *supportDesk) gather(ctx context.Context) (*support.Bundle, error) {
	self := d.api.HandlerFor(func(*http.Request) api.Caller {
		return api.Caller{Kind: api.KindHost, Name: "support bundle", Role: api.Admin}
	})
	c := client.NewInside(self, client.Visitor{Request: &http.Request{Host: "castellan", Header: http.Header{}}})
	b := support.Gather(ctx, support.Config{Client: c, Path: d.path, Version: version, Facts: hostFacts})
	if err := ctx.Err(); err != nil {
		return nil, errors.New("cannot gather the bundle: nobody waits for it any more")
	}
	return b, nil
}

// Gather implements api.Support.
func (d *supportDesk) Gather(ctx context.Context, id string) (api.SupportContents, error) {
	if b := d.bundle(id); b != nil {
		return contentsOf(id, b), nil
	}
	b, err := d.gather(ctx)
	if err != nil {
		return api.SupportContents{}, err
	}
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // it never fails
	out := contentsOf(hex.EncodeToString(raw), b)
	if out.Size <= mostBundle {
		d.keep(out.ID, b)
	}
	return out, nil
}

func contentsOf(id string, b *support.Bundle) api.SupportContents {
	out := api.SupportContents{ID: id, Made: b.Made, Until: b.Made.Add(bundleFor)}
	for _, p := range b.Parts {
		out.Files = append(out.Files, fileOf(p))
		out.Size += int64(p.Size)
	}
	return out
}

func fileOf(p support.Part) api.SupportFile {
	return api.SupportFile{Name: p.Name, What: p.What, Size: int64(p.Size), SHA256: p.SHA256, Error: p.Error, Hidden: p.Hidden}
}

func (d *supportDesk) keep(id string, b *support.Bundle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone != nil {
		d.gone.Stop()
	}
	d.id, d.kept = id, b
	d.gone = time.AfterFunc(bundleFor, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.id == id {
			d.id, d.kept = "", nil
		}
	})
}

// bundle is the one that is kept, if it is that.
func (d *supportDesk) bundle(id string) *support.Bundle {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == "" || id != d.id {
		return nil
	}
	return d.kept
}

// File implements api.Support.
func (d *supportDesk) File(_ context.Context, id, name string) (api.SupportText, error) {
	b := d.bundle(id)
	if b == nil {
		return api.SupportText{}, api.NoBundle()
	}
	i := slices.IndexFunc(b.Parts, func(p support.Part) bool { return p.Name == name })
	if i < 0 {
		return api.SupportText{}, api.NoBundle()
	}
	return api.SupportText{SupportFile: fileOf(b.Parts[i]), Text: string(bytes.ToValidUTF8(b.Parts[i].Data, []byte("?")))}, nil
}

// Zip implements api.Support.
func (d *supportDesk) Zip(ctx context.Context, id string) (io.ReadCloser, error) {
	b := d.bundle(id)
	if b == nil {
		var err error
		if b, err = d.gather(ctx); err != nil {
			return nil, err
		}
	}
	packed, err := b.Zip()
	return io.NopCloser(bytes.NewReader(packed)), err
}
