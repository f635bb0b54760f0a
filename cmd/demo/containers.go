package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// removeContainersOn deletes the demo's containers from an engine and nothing else: they carry its appliance's label.
func removeContainersOn(ctx context.Context, host string) error {
	docker := func(args ...string) (string, error) {
		r, err := run(ctx, []string{"DOCKER_HOST=" + host}, "docker", args...)
		if err == nil && r.exit != 0 {
			err = errors.New(strings.TrimSpace(r.stderr))
		}
		return strings.TrimSpace(r.stdout), err
	}
	ids, err := docker("ps", "-aq", "--filter", "label=io.castellan.appliance=castellan-demo")
	if err != nil || ids == "" {
		return err
	}
	_, err = docker(append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
	return err
}

// removeContainers cleans up on the engine that the demo would use; an engine of its own lies in dir and goes with it.
func removeContainers(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "docker")); err == nil {
		return nil
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil // no client, so the demo never got anywhere
	}
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	if _, err := engineVersion(ctx, host); err != nil {
		return nil // no engine, no containers
	}
	return removeContainersOn(ctx, host)
}
