package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	mutual "github.com/castellan/castellan/addons/services"
	"github.com/castellan/castellan/addons/store"
	"github.com/castellan/castellan/config"
	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/supervisor/state"
	"github.com/castellan/castellan/trust"
	"github.com/castellan/castellan/trust/audit"
	"github.com/castellan/castellan/trust/ledger"
)

func pinsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "pins",
		Short: "Show which publisher each service is bound to",
		Args:  argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := o.client().Pins(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			t := newTable(cmd.OutOrStdout(), "SERVICE", "PUBLISHER", "NOT BEFORE TRANSACTION", "LEDGER")
			for _, p := range list.Pins {
				t.AppendRow([]any{p.Service, plain(orDash(p.Publisher)), p.Floor, plain(orDash(p.Ledger))})
			}
			t.Render()
			return nil
		},
	}
}

func forgetCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "forget NAME",
		Short: "Unbind a service from its publisher; it is logged",
		Args:  argsRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.client().Forget(cmd.Context(), args[0]); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), struct{}{})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is bound to nobody; its next signed image decides\n", args[0])
			return nil
		},
	}
}

func reinitCommand() *cobra.Command {
	var path string
	var yes bool
	cmd := &cobra.Command{
		Use:   "reinit --yes",
		Short: "Begin anew where the trust state of a stopped appliance was lost",
		Long: "Makes the files that are missing: the replica's head, the trust memory, the journal, and the log's device key, for which a new log is begun beside the old one. What they held is gone: " +
			"pins, floors, withdrawals that the ledger does not repeat, previous versions. The ledger is read again from the " +
			"root document's anchor on; services are judged and installed again while their containers run on. Files that are " +
			"there stay. The daemon must be stopped.",
		Args: argsRange(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return usage(errors.New("this forgets pins and floors that were lost with the files; say --yes if no backup is left"),
					"restore a backup, or castellan trust reinit --yes")
			}
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			made, err := reinit(cmd, cfg)
			if err != nil {
				return err
			}
			if len(made) == 0 {
				return &exitError{exitNothing, errors.New("nothing is missing"), ""}
			}
			for _, what := range made {
				fmt.Fprintln(cmd.OutOrStdout(), "made anew:", what)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", "/etc/castellan/castellan.yaml", "configuration file")
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	return cmd
}

// reinit makes what is missing of an initialised data folder and writes that to the verification log, first.
func reinit(cmd *cobra.Command, cfg *config.Config) (made []string, err error) {
	data := func(name string) string { return filepath.Join(cfg.DataDir, name) }
	lock, err := durable.Lock(data("lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, &exitError{exitFailed, errors.New("the daemon runs"), "systemctl stop castellan"}
	} else if err != nil {
		return nil, err
	}
	defer lock.Close()
	own, err := readLedgers(data("ledgers"))
	if err != nil {
		return nil, err
	}
	parts := []string{"log/device.key", "trust.json", "ledger/head", "journal.db", "store/repositories.json", "services.json"}
	for name := range own {
		parts = append(parts, ownHead(name))
	}
	for _, part := range parts {
		if _, err := os.Stat(data(part)); errors.Is(err, fs.ErrNotExist) {
			made = append(made, part)
		} else if err != nil {
			return nil, err
		}
	}
	if len(made) == 0 {
		return nil, nil
	}
	note := map[string]any{"reinit": made}
	if made[0] == "log/device.key" { // first, so that the log can take the rest down
		old := fmt.Sprintf("log.until-%d", time.Now().Unix())
		if err := errors.Join(durable.Rename(data("log"), data(old)), audit.Init(data("log"))); err != nil {
			return nil, err
		}
		note["before"] = old
	}
	log, err := audit.Open(data("log"), audit.Options{})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if _, err := log.Append(cmd.Context(), audit.KindRecovered, note); err != nil {
		return nil, err
	}
	for _, part := range made {
		switch part {
		case "trust.json":
			_, err = trust.InitMemory(data(part))
		case "ledger/head":
			var r *roots
			if r, err = openRoots(cfg.Trust.RootDir, data("root")); err == nil {
				err = ledger.Reinit(replicaConfig(r.newest, data("ledger")))
			}
		case "journal.db":
			err = state.Init(data(part))
		case "store/repositories.json":
			err = store.Init(data("store"))
		case "services.json":
			err = mutual.Init(data(part))
		}
		for name, l := range own {
			if part == ownHead(name) {
				err = errors.Join(durable.MkdirAll(data("ledgers/"+name), 0o750), ledger.Reinit(ownConfig(data("ledgers/"+name), l)))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return made, nil
}

// ownHead is the file that says how far the replica of a repository's ledger is.
func ownHead(name string) string { return "ledgers/" + name + "/head" }
