package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// unitName and notesName are the first and the last member of a part.
const unitName, notesName = "unit.json", "notes.json"

// maxMeta bounds Unit.Meta, maxUnit and maxNotesFile the members that are read whole.
const maxMeta, maxUnit, maxNotesFile = 8 << 20, 17 << 20, 8 << 20

// window is how far back zstd looks: what both ways need of memory follows from it.
const window = 2 << 20

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window),
		zstd.WithEncoderConcurrency(1))
}

// unitFile is unit.json. Backup and Slug tie the part to its backup: an encrypted one can't be put into another.
type unitFile struct {
	Format  int             `json:"format"`
	Backup  string          `json:"backup"`
	Kind    Kind            `json:"kind"`
	Slug    string          `json:"slug"`
	Version string          `json:"version,omitempty"`
	Image   string          `json:"image,omitempty"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// unit runs the hooks around a part. The deferred call is what brings a stopped service back, whatever happens.
func (c *creation) unit(ctx context.Context, enc *zstd.Encoder, u *Unit, p *Part) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if u.After != nil {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), HookGrace)
			defer cancel()
			if err := u.After(ctx); err != nil {
				c.after = append(c.after, fmt.Errorf("%s: after its backup: %w", u.Slug, err))
			}
		}()
	}
	if u.Before != nil {
		if err := u.Before(ctx); err != nil {
			return fmt.Errorf("before its backup: %w", err)
		}
	}
	return c.append(ctx, enc, u, p)
}

// append appends a part and says in p what it became.
func (c *creation) append(ctx context.Context, enc *zstd.Encoder, u *Unit, p *Part) error {
	start := c.at
	if _, err := c.Write(make([]byte, block)); err != nil {
		return err
	}
	sum := sha256.New()
	var out io.Writer = io.MultiWriter(c, sum)
	var sealed io.Closer
	if c.info.Protected {
		w, err := age.Encrypt(out, c.req.Seal.recipient)
		if err != nil {
			return err
		}
		out, sealed = w, w
	}
	enc.Reset(out)
	inner := &counter{w: enc}
	if err := c.members(ctx, inner, u, p); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	if sealed != nil {
		if err := sealed.Close(); err != nil {
			return err
		}
	}
	p.Size, p.SHA256, p.Unpacked = c.at-start-block, hex.EncodeToString(sum.Sum(nil)), inner.n
	if _, err := c.Write(make([]byte, padded(p.Size)-p.Size)); err != nil {
		return err
	}
	head, err := header(p.File, p.Size, c.info.Date)
	if err != nil {
		return err
	}
	_, err = c.out.WriteAt(head, start)
	return err
}

// members writes the archive in a part.
func (c *creation) members(ctx context.Context, out io.Writer, u *Unit, p *Part) error {
	pack := &packer{
		ctx: ctx, unit: u.Slug, tar: tar.NewWriter(out), raw: out, buf: make([]byte, 256<<10), xbuf: make([]byte, 128<<10),
		links: map[inode]string{}, read: c.read,
	}
	about, err := json.Marshal(unitFile{format, c.info.Slug, u.Kind, u.Slug, p.Version, p.Image, u.Meta})
	if err != nil {
		return err
	}
	if err := pack.text(unitName, about, c.info.Date); err != nil {
		return err
	}
	w := walker{ctx: ctx, exclude: u.Exclude, visit: pack.add, note: pack.skip}
	for _, t := range u.Trees {
		if err := w.tree(t); err != nil {
			return err
		}
	}
	notes, err := json.Marshal(append([]Note{}, pack.notes...))
	if err != nil {
		return err
	}
	if err := pack.text(notesName, notes, c.info.Date); err != nil {
		return err
	}
	p.Files, p.LeftOut, p.Changed = pack.files, pack.leftOut, pack.changed
	c.notes = append(c.notes, pack.notes...)
	return pack.tar.Close()
}

// text writes a member of ours.
func (p *packer) text(name string, data []byte, at time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: at.Truncate(time.Second), Format: tar.FormatUSTAR}
	if err := p.header(h); err != nil {
		return err
	}
	_, err := p.tar.Write(data)
	return err
}

// counter counts what goes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
