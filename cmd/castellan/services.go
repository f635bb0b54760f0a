package main

import (
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/supervisor"
	"github.com/castellan/castellan/supervisor/spec"
	"github.com/castellan/castellan/trust"
)

// services turns the configuration's services into the supervisor's.
func services(c *config.Config) []supervisor.Service {
	out := servicesOn(c, onHost)
	for i := range out {
		out[i].Container = propagate(out[i].Container)
	}
	return out
}

// servicesOn does it for a host on which exists tells what is there.
func servicesOn(c *config.Config, exists func(path string) bool) []supervisor.Service {
	out := make([]supervisor.Service, 0, len(c.Services))
	for _, s := range c.Services {
		service := supervisor.Service{
			Name:      s.Name,
			Class:     trust.Class(s.Class),
			Container: container(s.Container),
			Health:    healthGate(s.Health),
			Data:      s.Data,
			Adopts:    adopts(s),
		}
		if h := s.HomeAssistant; h != nil {
			service.Container = coreContainer(service.Container, *h, c.Addons, exists)
			service.Health = coreHealth(service.Health, *h)
		}
		out = append(out, service)
	}
	return out
}

func container(c config.Container) spec.Container {
	out := spec.Container{
		Entrypoint: c.Entrypoint, Command: c.Command, Env: c.Env, Network: c.Network,
		Devices: c.Devices, CapAdd: c.CapAdd, Privileged: c.Privileged, Hostname: c.Hostname,
		Labels: c.Labels, StopSignal: c.StopSignal, StopTimeout: c.StopTimeout,
		Memory: c.Memory, ReadOnly: c.ReadOnly, Init: c.Init,
	}
	for _, p := range c.Ports {
		out.Ports = append(out.Ports, spec.Port(p))
	}
	for _, m := range c.Mounts {
		out.Mounts = append(out.Mounts, spec.Mount{Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	return out
}

func healthGate(h config.Health) spec.Health {
	out := spec.Health{Deadline: h.Deadline, Settle: h.Settle}
	for _, c := range h.Checks {
		check := spec.Check{Name: c.Name, Engine: c.Engine, Period: c.Period, Timeout: c.Timeout, Successes: c.Successes}
		if c.HTTP != nil {
			check.HTTP = &spec.HTTPCheck{URL: c.HTTP.URL, Headers: c.HTTP.Headers, Contains: c.HTTP.Contains}
		}
		if c.TCP != nil {
			check.TCP = &spec.TCPCheck{Address: c.TCP.Address}
		}
		if c.Exec != nil {
			check.Exec = &spec.ExecCheck{Command: c.Exec.Command}
		}
		out.Checks = append(out.Checks, check)
	}
	return out
}
