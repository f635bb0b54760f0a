package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/castellan/castellan/config"
)

func runCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemon(cmd.Context(), path, cmd)
		},
	}
	cmd.Flags().StringVar(&path, "config", "/etc/castellan/castellan.yaml", "configuration file")
	return cmd
}

// runDaemon runs until ctx ends: the configuration is read, the house opened, the API answers, and the loops go on. It
// ends with nil when it was asked to.
func runDaemon(ctx context.Context, path string, cmd *cobra.Command) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	setLevel(level, cfg)
	log := newLogger(cmd.ErrOrStderr(), level)

	h, err := openHouse(ctx, path, cfg, log)
	if err != nil {
		return err
	}
	defer h.close()
	l, err := listen(cfg.Socket)
	if err != nil {
		return err
	}
	log.Info("castellan is up", "version", version, "data", cfg.DataDir, "socket", cfg.Socket, "services", len(cfg.Services))
	notify(log, daemon.SdNotifyReady)

	g, ctx := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g.Go(func() error {
		return h.api.Serve(serving, l)
	})
	g.Go(func() error { // streams first: they would hold the server up
		<-ctx.Done()
		h.end()
		stop()
		return nil
	})
	g.Go(func() error { return h.run(ctx) })
	g.Go(func() error {
		err := config.Watch(ctx, path, func(next *config.Config, err error) {
			if err == nil {
				setLevel(level, next)
			}
			h.reload(next, err)
		})
		if err != nil && ctx.Err() == nil {
			// A machine that cannot watch files can still be kept up to date; status says what is missing.
			h.reload(nil, fmt.Errorf("%w; changes take effect after: systemctl restart castellan", err))
		}
		return nil
	})
	g.Go(func() error {
		watchdog(ctx, log, h.alive)
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		notify(log, daemon.SdNotifyStopping)
		log.Info("castellan is stopping")
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func setLevel(v *slog.LevelVar, c *config.Config) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err == nil { // config has checked it
		v.Set(l)
	}
}

// listen takes the socket over from a daemon that is gone; the lock of the data folder has shown that it is.
func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	if c, err := net.DialTimeout("unix", socket, time.Second); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("cannot listen on %s: another program answers there; set socket to another path", socket)
	}
	switch fi, err := os.Lstat(socket); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	case fi.Mode().Type() != fs.ModeSocket: // somebody's file, named by mistake
		return nil, fmt.Errorf("cannot listen on %s: something that is no socket is there; set socket to another path", socket)
	default:
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
		}
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("cannot listen on %s: %w", socket, err)
	}
	return l, nil
}
