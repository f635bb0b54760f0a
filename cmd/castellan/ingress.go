package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/castellan/castellan/addons/lifecycle"
	"github.com/castellan/castellan/supervisor/api"
)

// addonPages are the add-ons' own pages.
type addonPages struct{ *house }

var _ api.Ingress = (*addonPages)(nil)

// Page implements api.Ingress.
func (h *addonPages) Page(_ context.Context, token string) (api.IngressPage, bool) {
	slug, ok := h.addons.installs.ByIngress(token)
	if !ok {
		return api.IngressPage{}, false
	}
	m, err := h.addons.installs.Manifest(slug)
	if err != nil || !m.Ingress { // a version that has none any more
		return api.IngressPage{}, false
	}
	return api.IngressPage{Slug: slug, Name: m.Name, Stream: m.IngressStream}, true
}

// Dial implements api.Ingress. Each connection looks where the add-on is: an address that was another's a moment ago must
// not get its visitors.
func (h *addonPages) Dial(ctx context.Context, slug string) (net.Conn, error) {
	at, err := h.addons.installs.Ingress(slug)
	if err != nil {
		return nil, err
	}
	list, err := h.engine.List(ctx, lifecycle.Service(slug))
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if !k.Running {
			continue
		}
		ip := h.config().Addons.Network.Gateway() // the host, which an add-on in its network shares
		if k.IP != "" {
			if ip, err = netip.ParseAddr(k.IP); err != nil {
				return nil, fmt.Errorf("cannot tell where add-on %s is: %w", slug, err)
			}
		}
		return h.engine.DialAPI(ctx, netip.AddrPortFrom(ip, at.Port))
	}
	return nil, api.ErrAsleep
}

// Panels implements api.Ingress.
func (h *addonPages) Panels(context.Context) (map[string]api.IngressPanel, error) {
	out := map[string]api.IngressPanel{}
	for _, slug := range h.addons.installs.Slugs() {
		m, err := h.addons.installs.Manifest(slug)
		if err != nil || !m.Ingress { // one that can't be read says so in its own place
			continue
		}
		p := api.IngressPanel{Title: m.PanelTitle, Icon: m.PanelIcon, Admin: m.PanelAdmin, Enable: h.inSideBar(slug)}
		if p.Title == "" {
			p.Title = m.Name
		}
		out[slug] = p
	}
	return out, nil
}

// inSideBar tells whether the owner wants an add-on's pages in the side bar.
func (h *house) inSideBar(slug string) bool {
	r, _ := h.addons.installs.Record(slug)
	return r.Settings.Panel
}

// describePages tells where an add-on's own pages are; of one that has none, or is not installed, nothing.
func (h *house) describePages(slug string, out *api.AddonState) {
	m, err := h.addons.installs.Manifest(slug)
	if err != nil || !m.Ingress {
		return
	}
	at, err := h.addons.installs.Ingress(slug)
	if err != nil {
		h.log.Warn("cannot tell where an add-on's pages are", "addon", slug, "error", err)
		return
	}
	entry, panel := "/api/hassio_ingress/"+at.Token, h.inSideBar(slug)
	url := entry + "/" + strings.TrimPrefix(m.IngressEntry, "/")
	out.IngressEntry, out.IngressURL, out.IngressPort, out.IngressPanel = &entry, &url, &at.Port, &panel
}
