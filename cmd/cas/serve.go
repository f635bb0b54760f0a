package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust/ledger/server"
)

// serveFlags describe a ledger server.
type serveFlags struct {
	data, key, listen, addressFile, export, cert, certKey string
	allow                                                 []string
	open                                                  bool
	daily                                                 int64
}

func (f *serveFlags) store(c *cobra.Command) {
	c.Flags().StringVar(&f.data, "data", "", "the ledger's folder")
	c.Flags().StringVar(&f.key, "key", "", "note key, as made by `cas key ledger`")
	_ = c.MarkFlagRequired("data")
	_ = c.MarkFlagRequired("key")
}

// open opens the ledger; root documents are those of --root, which must be a folder.
func (f *serveFlags) openServer(a *app, log *slog.Logger) (*server.Server, error) {
	secret, err := readSecret(f.key)
	if err != nil {
		return nil, fmt.Errorf("cannot read note key: %w", err)
	}
	signer, err := note.NewSigner(string(bytes.TrimSpace(secret)))
	if err != nil {
		return nil, fmt.Errorf("cannot use note key %s: %w; make one with `cas key ledger`", f.key, err)
	}
	return server.Open(server.Config{
		Dir: f.data, Signer: signer, RootDir: a.rootPath, Allow: f.allow, Open: f.open, DailyBytes: f.daily, ExportDir: f.export, Log: log,
	})
}

func serveCommand(a *app) *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use: "serve", Short: "Run a ledger",
		Long: "Runs a ledger on an embedded immudb. Reading is anonymous and cacheable; put a CDN or a reverse proxy before it.\n" +
			"Only publishers of --root and --allow may write, unless --open. --root is the folder of root documents to serve.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if (f.cert == "") != (f.certKey == "") {
				return usagef("--tls-cert and --tls-key go together")
			}
			log := slog.New(slog.NewTextHandler(a.err, nil))
			s, err := f.openServer(a, log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			l, url, err := f.listener()
			if err != nil {
				return err
			}
			if f.addressFile != "" {
				if err := durable.WriteFile(f.addressFile, []byte(url+"\n"), 0o644); err != nil {
					return errors.Join(err, l.Close())
				}
			}
			log.Info("serving ledger", "origin", s.Origin(), "url", url, "transactions", s.Head().Count, "data", f.data)
			return s.Serve(cmd.Context(), l)
		},
	}
	f.store(c)
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8087", "address to listen on; port 0 takes a free one")
	c.Flags().StringVar(&f.addressFile, "address-file", "", "write the URL here when listening")
	c.Flags().StringSliceVar(&f.allow, "allow", nil, "ID of a publisher that may write; may be repeated")
	c.Flags().BoolVar(&f.open, "open", false, "let everybody write, within --daily-bytes")
	c.Flags().Int64Var(&f.daily, "daily-bytes", 1<<20, "bytes a day for a publisher nobody allowed, with --open")
	c.Flags().StringVar(&f.export, "export", "", "keep a copy of the static tree in this folder")
	c.Flags().StringVar(&f.cert, "tls-cert", "", "certificate chain in PEM")
	c.Flags().StringVar(&f.certKey, "tls-key", "", "key of the certificate in PEM")
	return c
}

func (f *serveFlags) listener() (net.Listener, string, error) {
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return nil, "", fmt.Errorf("cannot listen on %s: %w", f.listen, err)
	}
	if f.cert == "" {
		return l, "http://" + l.Addr().String(), nil
	}
	cert, err := tls.LoadX509KeyPair(f.cert, f.certKey)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("cannot load certificate: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), "https://" + l.Addr().String(), nil
}

func exportCommand(a *app) *cobra.Command {
	var f serveFlags
	var to string
	c := &cobra.Command{
		Use: "export", Short: "Write a ledger's static tree to a folder, for a CDN, a web server or a USB stick",
		Long: "The ledger must not be running; `cas serve --export` keeps a folder up to date while it is.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := f.openServer(a, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if err := s.Export(cmd.Context(), filepath.Clean(to)); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d transactions in %s\n", s.Origin(), s.Head().Count, to)
			return nil
		},
	}
	f.store(c)
	c.Flags().StringVar(&to, "to", "", "folder of the tree")
	_ = c.MarkFlagRequired("to")
	return c
}
