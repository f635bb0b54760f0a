package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/castellan/castellan/supervisor/api/client"
)

// remote is a daemon on the network, in place of the socket.
type remote struct {
	host, tokenFile, fingerprint string
	client                       *client.Client // nil = the socket counts
}

func (r *remote) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&r.host, "host", os.Getenv("CASTELLAN_HOST"), "daemon on the network, as https://castellan.local:8480 (or CASTELLAN_HOST)")
	f.StringVar(&r.tokenFile, "token-file", os.Getenv("CASTELLAN_TOKEN_FILE"), "file with an API token for --host (or CASTELLAN_TOKEN_FILE)")
	f.StringVar(&r.fingerprint, "fingerprint", os.Getenv("CASTELLAN_FINGERPRINT"), "fingerprint of the certificate of --host (or CASTELLAN_FINGERPRINT)")
}

// atHome are the commands that ask no daemon.
var atHome = []string{"run", "openapi", "help", "completion", "man", "lint", "reinit", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}

// open makes the client, unless the socket counts.
func (r *remote) open(cmd *cobra.Command) error {
	for c := cmd; c != nil; c = c.Parent() {
		if slices.Contains(atHome, c.Name()) {
			return nil
		}
	}
	if r.host == "" {
		return nil
	}
	const next = "castellan token add on the appliance, then --token-file"
	if r.tokenFile == "" {
		return usage(fmt.Errorf("cannot reach %s: --token-file is missing", plain(r.host)), next)
	}
	token, err := readToken(r.tokenFile)
	if err != nil {
		return usage(err, next)
	}
	r.client, err = client.NewRemote(client.Remote{URL: r.host, Token: token, Fingerprint: r.fingerprint})
	if err != nil {
		return usage(err, "castellan --help")
	}
	return nil
}

// readToken reads a token from a file that is nobody else's to read.
func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	if fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("cannot use the token in %s: others may read it; run chmod 600 %s", name, quoted(name))
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return "", fmt.Errorf("cannot read the token: %w", err)
	}
	token := string(bytes.TrimSpace(b))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("cannot use the token in %s: it holds none, or more than one", name)
	}
	return token, nil
}
