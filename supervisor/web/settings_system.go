package web

import (
	"strings"

	"github.com/castellan/castellan/supervisor/api"
)

// system is what the page about network, registries and configuration shows.
type system struct {
	Network  api.NetworkStatus
	Config   api.ConfigStatus
	Groups   []group
	Listen   []api.Setting // what is said of the network, with its keys
	Registry []api.Setting
	Users    map[string]any // of registries
	Ledgers  []api.LedgerKeys
}

// group is a part of the configuration: what stands below one word.
type group struct {
	Name string
	Keys []api.Setting
}

func (v *visit) system() (answer, error) {
	st, err := v.status()
	if err != nil {
		return answer{}, err
	}
	all, err := v.api.Settings(v.ctx())
	if err != nil {
		return answer{}, err
	}
	out := system{Network: st.Network, Config: all.Config, Ledgers: all.Ledgers}
	for _, k := range all.Keys {
		name, _, _ := strings.Cut(k.Key, ".")
		switch name {
		case "api":
			out.Listen = append(out.Listen, k)
		case "registry":
			out.Registry = append(out.Registry, k)
		}
		if n := len(out.Groups); n == 0 || out.Groups[n-1].Name != name {
			out.Groups = append(out.Groups, group{Name: name})
		}
		g := &out.Groups[len(out.Groups)-1]
		g.Keys = append(g.Keys, k)
	}
	if d, err := v.api.Docker(v.ctx()); err == nil { // a list beside what counts
		out.Users = d.Registries
	}
	return show("system", out)
}
