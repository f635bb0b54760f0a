package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api"
)

func addonPortsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ports SLUG [PORT=HOST…]",
		Short: "Show the ports of an add-on, or publish them: 80/tcp=8080 443/tcp=none",
		Args:  argsRange(1, 100),
		RunE: func(cmd *cobra.Command, args []string) error {
			slug := args[0]
			if len(args) == 1 {
				info, err := o.client().Addon(cmd.Context(), slug, "")
				switch {
				case err != nil:
					return addonError(cmd, slug, err)
				case o.json:
					return printJSON(cmd.OutOrStdout(), struct {
						Ports []api.AddonPort `json:"ports"`
					}{info.Ports})
				}
				printPorts(cmd.OutOrStdout(), info.Ports)
				return nil
			}
			ports := map[string]*uint16{}
			for _, a := range args[1:] {
				port, host, err := parsePort(a)
				if err != nil {
					return usage(err, "castellan addon ports "+slug+" 80/tcp=8080")
				}
				ports[port] = host
			}
			return addonSet(cmd, o, slug, api.SettingsRequest{Ports: ports})
		},
	}
}

// parsePort reads "80/tcp=8080" or "80/tcp=none".
func parsePort(s string) (port string, host *uint16, err error) {
	port, text, ok := strings.Cut(s, "=")
	number, proto, _ := strings.Cut(port, "/")
	inside, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil || inside == 0 || proto != "tcp" && proto != "udp" {
		return "", nil, fmt.Errorf("%q: want a port as 80/tcp=8080 or 80/tcp=none", s)
	}
	if text == "none" {
		return port, nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", nil, fmt.Errorf("%q: want a port of the appliance from 1 to 65535, or none", s)
	}
	h := uint16(n)
	return port, &h, nil
}

func addonSetCommand(o *options) *cobra.Command {
	var boot string
	flags := map[string]*string{"auto-update": new(string), "watchdog": new(string), "protected": new(string)}
	cmd := &cobra.Command{
		Use:   "set SLUG",
		Short: "Change when an add-on starts, whether it updates by itself, is watched, is protected",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var req api.SettingsRequest
			help := "castellan addon set --help"
			if cmd.Flags().Changed("boot") {
				if boot != "auto" && boot != "manual" {
					return usage(fmt.Errorf("--boot %q: want auto or manual", boot), help)
				}
				req.Boot = &boot
			}
			for name, to := range map[string]**bool{"auto-update": &req.AutoUpdate, "watchdog": &req.Watchdog, "protected": &req.Protected} {
				if !cmd.Flags().Changed(name) {
					continue
				}
				on := *flags[name] == "on"
				if !on && *flags[name] != "off" {
					return usage(fmt.Errorf("--%s %q: want on or off", name, *flags[name]), help)
				}
				*to = &on
			}
			if req.Boot == nil && req.AutoUpdate == nil && req.Watchdog == nil && req.Protected == nil {
				return usage(fmt.Errorf("nothing to set: name --boot, --auto-update, --watchdog or --protected"), help)
			}
			return addonSet(cmd, o, args[0], req)
		},
	}
	cmd.Flags().StringVar(&boot, "boot", "", "auto or manual: whether it starts with the appliance")
	cmd.Flags().StringVar(flags["auto-update"], "auto-update", "", "on or off: whether it updates by itself")
	cmd.Flags().StringVar(flags["watchdog"], "watchdog", "", "on or off: whether it is started again when it fails")
	cmd.Flags().StringVar(flags["protected"], "protected", "", "on or off: off lets it have full access where it asks for that")
	return cmd
}

func addonSet(cmd *cobra.Command, o *options, slug string, req api.SettingsRequest) error {
	kept, err := o.client().SetAddon(cmd.Context(), slug, req)
	if err != nil {
		return addonError(cmd, slug, err)
	}
	return printKept(cmd, o, slug, kept)
}
