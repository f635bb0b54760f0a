package engine

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/castellan/castellan/supervisor"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

var (
	// "Bind for 0.0.0.0:80 failed: port is already allocated", by another container;
	// "listen tcp4 0.0.0.0:80: bind: address already in use", by a program of the host, in its wording before and since 28.
	portTaken = regexp.MustCompile(`:(\d{1,5})(?:/\w+)?(?: failed: port is already allocated|[^\n]{0,80}address already in use)`)
	// "error gathering device information while adding custom device "/dev/ttyUSB0": no such file or directory"
	deviceMissing = regexp.MustCompile(`adding custom device "([^"]+)": (?:no such file|not a device)`)
	// "invalid mount config for type "bind": bind source path does not exist: /data"
	sourceMissing = regexp.MustCompile(`bind source path does not exist: (\S+)`)
	notShared     = regexp.MustCompile(`path (\S+) is mounted on (\S+) but it is not a shared or slave mount`)
)

// explainStart says in the owner's words why a container does not start or cannot be made, and what he can do.
func (e *Engine) explainStart(ctx context.Context, cli *client.Client, id string, err error) error {
	text := err.Error()
	if m := portTaken.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%w: %s: %w", supervisor.ErrPortTaken, e.whoHasPort(ctx, cli, id, m[1]), err)
	}
	if m := deviceMissing.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%w: there is no device %s: plug it in, or take it out of the configuration: %w", supervisor.ErrDeviceMissing, m[1], err)
	}
	if m := sourceMissing.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("there is no folder %s to mount: make it, or take it out of the configuration: %w", m[1], err)
	}
	if m := notShared.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("what is mounted below %s later would not be seen, because %s is a private mount: "+
			"make it shared (mount --make-shared %s), as systemd does: %w", m[1], m[2], m[2], err)
	}
	return err
}

// whoHasPort names who has a port of the host.
func (e *Engine) whoHasPort(ctx context.Context, cli *client.Client, not, port string) string {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "port " + port
	}
	all, err := cli.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return "port " + port + " (the engine does not say whose it is)"
	}
	for _, c := range all {
		for _, p := range c.Ports {
			if p.PublicPort != uint16(n) || c.ID == not {
				continue
			}
			service, house := c.Labels[supervisor.LabelService], c.Labels[supervisor.LabelHouse]
			switch {
			case house == e.cfg.House && service != "":
				return fmt.Sprintf("port %s is published by service %q (container %s): give one of the two another port", port, service, nameOf(c.Names))
			case strings.TrimSpace(house) != "":
				return fmt.Sprintf("port %s is published by container %s of appliance %s: choose another port", port, nameOf(c.Names), house)
			}
			return fmt.Sprintf("port %s is published by container %s, which is not of this appliance: stop it (docker stop %s) or choose another port",
				port, nameOf(c.Names), nameOf(c.Names))
		}
	}
	return fmt.Sprintf("port %s is used by a program of this host: find it (ss -ltnup 'sport = :%s') or choose another port", port, port)
}
