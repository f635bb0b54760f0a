package archive

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// xattrPrefix begins the records that tar programs keep extended attributes in.
const xattrPrefix = "SCHILY.xattr."

// maxAttributes bounds what the attributes of one file may have in all: the records are read back whole.
const maxAttributes = 512 << 10

// attributes reads a file's extended attributes, access lists and capabilities among them.
func (p *packer) attributes(f *os.File, name string) (map[string]string, error) {
	list, value := p.xbuf[:len(p.xbuf)/2], p.xbuf[len(p.xbuf)/2:]
	n, err := unix.Flistxattr(int(f.Fd()), list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list its attributes: %w", err)
	}
	var out map[string]string
	total := 0
	for k := range bytes.SplitSeq(bytes.TrimSuffix(list[:n], []byte{0}), []byte{0}) {
		m, err := unix.Fgetxattr(int(f.Fd()), string(k), value)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read attribute %s: %w", k, err)
		}
		if total += len(k) + m; total > maxAttributes || bytes.ContainsRune(k, '=') {
			p.note(name, "its extended attributes are too many or of no fit name, and are not all in the backup")
			break
		}
		if out == nil {
			out = map[string]string{}
		}
		out[xattrPrefix+string(k)] = string(value[:m])
	}
	return out, nil
}

// setAttributes gives a file the attributes that may come back: the programs' own and access lists. What gives a program
// power (security.capability) or is the system's own does not.
func setAttributes(f *os.File, records map[string]string) error {
	for k, v := range records {
		k, ours := strings.CutPrefix(k, xattrPrefix)
		if !ours || !strings.HasPrefix(k, "user.") && !strings.HasPrefix(k, "system.posix_acl_") {
			continue
		}
		err := unix.Fsetxattr(int(f.Fd()), k, []byte(v), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) { // a file system without them can hold the data all the same
			return fmt.Errorf("cannot set attribute %.80q: %w", k, err)
		}
	}
	return nil
}
