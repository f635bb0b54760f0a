package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/castellan/castellan/config/durable"
)

// hostTokenBytes is as long as Home Assistant's tokens are.
const hostTokenBytes = 56

// hostToken is the token that opens Home Assistant's API for the appliance's own programs, as its command line. It is made
// at the first start, stays the same, and is in a file that only the user of the daemon can read: who can read it may do
// what that user may. A file that is removed is made anew, with another token.
func hostToken(path string) (string, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		var b [hostTokenBytes]byte
		_, _ = rand.Read(b[:]) // it never fails
		token := hex.EncodeToString(b[:])
		return token, durable.WriteFile(path, []byte(token+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the host token: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("cannot use the host token in %s: others may read it; remove the file, and the next start makes another", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the host token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if raw, err := hex.DecodeString(token); err != nil || len(raw) < 16 {
		return "", fmt.Errorf("cannot read the host token: %s holds no token; remove the file, and the next start makes another", path)
	}
	return token, nil
}
