package main

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
	"time"
)

// What the demo leaves on an engine carries one of these labels; nothing else is ever removed from it.
const (
	containerLabel = "io.castellan.appliance=castellan-demo" // Castellan's own, with the demo's appliance ID
	imageLabel     = "castellan-demo"                        // in the sample images
	addonNetwork   = "cast-demo"                             // made by Castellan, with the container label
)

// removeContainers deletes the demo's containers, and the network of its add-ons, from an engine.
func removeContainers(ctx context.Context, host string) error {
	err := removeLabelled(ctx, host, "containers", containerLabel, "&all=1")
	return errors.Join(err, removeLabelled(ctx, host, "networks", containerLabel, ""))
}

// removeTraces deletes the demo's containers and images.
func removeTraces(ctx context.Context, host string) error {
	return errors.Join(removeContainers(ctx, host), removeLabelled(ctx, host, "images", imageLabel, ""))
}

func removeLabelled(ctx context.Context, host, kind, label, more string) error {
	filters, err := json.Marshal(map[string][]string{"label": {label}})
	if err != nil {
		return err
	}
	var found []struct{ ID string }
	list := "/" + kind + "/json"
	if kind == "networks" { // which the API lists by another path
		list = "/networks"
	}
	if err := askEngine(ctx, host, "GET", list+"?filters="+url.QueryEscape(string(filters))+more, &found); err != nil {
		return fmt.Errorf("cannot list the demo's %s: %w", kind, err)
	}
	var errs []error
	for _, x := range found {
		if err := askEngine(ctx, host, "DELETE", "/"+kind+"/"+x.ID+"?force=1", nil); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove one of the demo's %s: %w", kind, err))
		}
	}
	return errors.Join(errs...)
}

// engineVersion asks an engine for its version.
func engineVersion(ctx context.Context, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var v struct{ Version string }
	if err := askEngine(ctx, host, "GET", "/version", &v); err != nil {
		return "", err
	}
	if v.Version == "" {
		return "", fmt.Errorf("no Docker engine answers on %s", host)
	}
	return v.Version, nil
}

// askEngine makes one call of the engine's API, without any docker program, which newer Debians install apart.
func askEngine(ctx context.Context, host, method, path string, into any) error {
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return fmt.Errorf("the demo needs an engine on a unix socket, not %s", host)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	switch {
	case err != nil:
		return err
	case method == "DELETE" && resp.StatusCode == http.StatusNotFound: // gone already
		return nil
	case resp.StatusCode >= 300:
		return fmt.Errorf("the engine answers %s: %.300s", resp.Status, body)
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}
