package support

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/castellan/castellan/config"
)

// dataDir is the data folder that the file at path names, or the default one.
func dataDir(path string) string {
	if cfg, err := config.Load(path); err == nil {
		return cfg.DataDir
	}
	return "/var/lib/castellan"
}

// journalTail is the end of the daemon's messages, where journald keeps them.
func journalTail(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--unit=castellan", fmt.Sprint("--lines=", journalLines), "--no-pager", "--output=short-iso", "--quiet")
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot ask journald: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(out, maxPart))
	if _, more := io.Copy(io.Discard, out); err == nil {
		err = more
	}
	if end := cmd.Wait(); err == nil {
		err = end
	}
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = fmt.Errorf("journald has no messages of castellan")
	}
	return b, err
}

// readBounded reads the beginning of a file.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPart))
}
