package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/castellan/castellan/config/durable"
	"github.com/castellan/castellan/trust"
	jsonx "github.com/go-json-experiment/json"
)

// privatePrefix begins every reference to a private text: "private:sha256:<64 hex digits>".
const privatePrefix = "private:"

// privateText is one line of the side file. The salt keeps short texts, as user names, from being guessed by hash.
type privateText struct {
	Private trust.Digest `json:"private"` // sha256 of the salt followed by the text
	Salt    []byte       `json:"salt"`    // 16 random bytes
	Text    string       `json:"text"`
	Seq     uint64       `json:"seq"` // newest record when it was kept: pruned when that is, unless a line names it
}

func (p privateText) sum() trust.Digest {
	h := sha256.New()
	h.Write(p.Salt)
	h.Write([]byte(p.Text))
	return trust.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// parsePrivate reads one line of the side file and checks its hash.
func parsePrivate(line []byte) (privateText, error) {
	var p privateText
	if err := jsonx.Unmarshal(line, &p, jsonx.RejectUnknownMembers(true)); err != nil {
		return p, fmt.Errorf("cannot read private text: %w", err)
	}
	if got := p.sum(); got != p.Private {
		return p, fmt.Errorf("cannot accept private text: its hash is %s, its line says %.80s", got, p.Private)
	}
	return p, nil
}

// privates is the open side file.
type privates struct {
	mu    sync.Mutex
	file  *os.File
	size  int64
	texts map[trust.Digest]privateText
}

// open reads the side file. Lines that do not hold what they say are left out: the log verifies without them, and
// [Log.Text] says that the text is gone. The file is written anew so that no torn line stays.
func (p *privates) open(path string) error {
	p.texts = map[trust.Digest]privateText{}
	var good []byte
	err := eachLineOf(path, -1, func(_ int, line []byte, whole bool) error {
		if t, err := parsePrivate(line); err == nil && whole {
			p.texts[t.Private] = t
			good = append(append(good, line...), '\n')
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errLineTooLong) {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return p.rewrite(path, good)
}

// rewrite replaces the side file and opens it for appending. Needs mu, or nobody else yet.
func (p *privates) rewrite(path string, data []byte) error {
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", path, err)
	}
	if p.file != nil {
		_ = p.file.Close() // the old, replaced file
	}
	p.file, p.size = f, int64(len(data))
	return nil
}

func (p *privates) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file.Close()
}

// forget drops the texts kept at or before record seq that drop names.
func (p *privates) forget(seq uint64, named map[trust.Digest]bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var data []byte
	var gone []trust.Digest
	for d, t := range p.texts {
		if t.Seq <= seq && !named[d] {
			gone = append(gone, d)
			continue
		}
		line, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("cannot write private text: %w", err)
		}
		data = append(append(data, line...), '\n')
	}
	if len(gone) == 0 {
		return nil
	}
	if err := p.rewrite(p.file.Name(), data); err != nil {
		return err
	}
	for _, d := range gone {
		delete(p.texts, d)
	}
	return nil
}

// maxPrivate bounds a private text, in bytes; the rest is cut off.
const maxPrivate = 4 << 10

// Private keeps a text that must not leave the house in a redacted export — a user's name, a free-text reason — and
// returns the reference to write in its place. The text is on disk when it returns. "" stays "".
func (l *Log) Private(text string) (ref string, err error) {
	if text == "" {
		return "", nil
	}
	text = clip(strings.ToValidUTF8(text, "\uFFFD"), maxPrivate)
	t := privateText{Salt: make([]byte, 16), Text: text, Seq: l.Last()}
	rand.Read(t.Salt) // never fails, crypto/rand
	t.Private = t.sum()
	line, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("cannot keep private text: %w", err)
	}
	p := &l.private
	p.mu.Lock()
	defer p.mu.Unlock()
	line = append(line, '\n')
	if err := durable.Append(p.file, line); err != nil {
		// A half line left here is skipped when the file is read, unless another is appended to it: cut it off.
		return "", errors.Join(fmt.Errorf("cannot keep private text: %w", err), p.file.Truncate(p.size))
	}
	p.size += int64(len(line))
	p.texts[t.Private] = t
	return privatePrefix + string(t.Private), nil
}

// Text is the private text behind a reference that [Log.Private] returned; ok is false for anything else.
func (l *Log) Text(ref string) (text string, ok bool) {
	d, isRef := strings.CutPrefix(ref, privatePrefix)
	if !isRef {
		return "", false
	}
	l.private.mu.Lock()
	defer l.private.mu.Unlock()
	t, ok := l.private.texts[trust.Digest(d)]
	return t.Text, ok
}

// withoutPrivate replaces the private parts of the payloads that have some.
func (l *Log) withoutPrivate(payload any) (any, error) {
	if p, ok := payload.(AccountPayload); ok {
		return l.hideAccount(p)
	}
	o, ok := payload.(trust.Override)
	if p, isPtr := payload.(*trust.Override); isPtr && p != nil {
		o, ok = *p, true
	}
	if !ok {
		return payload, nil
	}
	var err error
	if o.Why, err = l.Private(o.Why); err != nil {
		return nil, err
	}
	if o.By, err = l.Private(o.By); err != nil {
		return nil, err
	}
	return o, nil
}

// clip cuts s to at most n bytes at a character's edge.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
