package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor/api"
)

// coreWay is the add-ons' way to Home Assistant Core.
type coreWay struct{ *house }

var _ api.CoreAPI = coreWay{}

// service is the one that is run as Home Assistant.
func (h coreWay) service() (config.Service, bool) {
	for _, s := range h.config().Services {
		if s.HomeAssistant != nil {
			return s, true
		}
	}
	return config.Service{}, false
}

// maxCoreToken bounds the file of the token, in bytes.
const maxCoreToken = 4 << 10

// Token implements api.CoreAPI. It is read each time, because its owner may replace it.
func (h coreWay) Token() (string, error) {
	s, ok := h.service()
	if !ok || s.HomeAssistant.TokenFile == "" {
		return "", errors.New("home_assistant.token_file is not set")
	}
	f, err := os.Open(s.HomeAssistant.TokenFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCoreToken))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no access token", s.HomeAssistant.TokenFile)
	}
	return token, nil
}

// Dial implements api.CoreAPI.
func (h coreWay) Dial(ctx context.Context) (net.Conn, bool, error) {
	s, ok := h.service()
	if !ok {
		return nil, false, errors.New("no service is run as Home Assistant")
	}
	list, err := h.engine.List(ctx, s.Name)
	if err != nil {
		return nil, false, err
	}
	for _, k := range list {
		if !k.Running {
			continue
		}
		ip := netip.AddrFrom4([4]byte{127, 0, 0, 1}) // it shares the host's network
		if k.IP != "" {
			if ip, err = netip.ParseAddr(k.IP); err != nil {
				return nil, false, fmt.Errorf("cannot tell where Home Assistant Core is: %w", err)
			}
		}
		c, err := new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(ip, s.HomeAssistant.Port).String())
		return c, s.HomeAssistant.SSL, err
	}
	return nil, false, errors.New("no Home Assistant Core runs")
}
