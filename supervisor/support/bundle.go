// Package support gathers what helps somebody who helps: the state of an appliance in one zip file, without secrets. Nothing
// is sent anywhere.
//
// What may go wrong. A secret stands in a place nobody thought of: what looks like one is hidden wherever it stands, and what
// add-ons' options and the configuration hide is hidden in all other texts too; it is no proof, so the owner sees each file
// before he hands it on. A part does not answer: it is named, with the reason, and the rest is gathered. Something has grown
// without bound: each part is cut.
package support

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// maxPart is how much of one part goes into a bundle, in bytes.
const maxPart = 1 << 20

// Part is one file of a bundle, or why it is not in there.
type Part struct {
	Name   string         `json:"name"`
	What   string         `json:"what"`
	Size   int            `json:"size"`
	SHA256 string         `json:"sha256,omitempty"`
	Error  string         `json:"error,omitempty"`
	Hidden map[string]int `json:"hidden,omitempty"` // how often something is hidden, by sort: secret, host, email, lan, ip, mac, word
	Data   []byte         `json:"-"`
}

// Bundle is what was gathered.
type Bundle struct {
	Made   time.Time
	Daemon bool // one answered
	Parts  []Part

	version string
	ctx     context.Context // of the gathering
	hide    *redactor
}

// add takes data, which holds no secrets any more.
func (g *Bundle) add(name, what string, data []byte, err error) {
	p := Part{Name: name, What: what, Data: data}
	if err != nil {
		p.Error = api.OneLine(g.hide.text(err.Error()))
	}
	if len(p.Data) > maxPart {
		p.Data = append(p.Data[:maxPart:maxPart], "\n(cut here)\n"...)
	}
	if p.Size = len(p.Data); p.Size > 0 {
		p.SHA256 = fmt.Sprintf("%x", sha256.Sum256(p.Data))
	}
	p.Hidden = hiddenIn(p.Data)
	g.Parts = append(g.Parts, p)
}

var hiddenShape = regexp.MustCompile(`\*{8}|\bthis-host\b|\b(?:email|lan|ip|mac|hidden)-\d+\b`)

// hiddenIn counts what a text stands in for, by sort.
func hiddenIn(data []byte) map[string]int {
	out := map[string]int{}
	for _, m := range hiddenShape.FindAll(data, -1) {
		switch sort, _, _ := strings.Cut(string(m), "-"); sort {
		case hiddenText:
			out["secret"]++
		case "this":
			out["host"]++
		case "hidden":
			out["word"]++
		default:
			out[sort]++
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Manifest says what is in the bundle and what is not.
func (g *Bundle) Manifest() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Support bundle of castellan %s, %s\n", g.version, g.Made.UTC().Format(time.RFC3339))
	if !g.Daemon {
		fmt.Fprintln(&b, "No daemon answered: this is what the disk and the host tell.")
	}
	fmt.Fprintf(&b, "Hidden: %s are secrets; email-1, lan-1, ip-1, mac-1, hidden-1 stand for one address or word each.\n\n", hiddenText)
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tBYTES\tWHAT")
	for _, p := range g.Parts {
		what := p.What
		if p.Error != "" {
			what += "; not complete: " + p.Error
		}
		fmt.Fprintf(t, "%s\t%d\t%s\n", p.Name, p.Size, what)
	}
	_ = t.Flush() // to memory: it can't fail
	fmt.Fprintln(&b, "\nsha256:")
	for _, p := range g.Parts {
		if p.Size > 0 {
			fmt.Fprintf(&b, "%s  %s\n", p.SHA256, p.Name)
		}
	}
	return b.Bytes()
}

// Zip is everything in one file that any system can open.
func (g *Bundle) Zip() ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, data []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "castellan-support/" + name, Method: zip.Deflate, Modified: g.Made})
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}
	if err := put("MANIFEST", g.Manifest()); err != nil {
		return nil, err
	}
	for _, p := range g.Parts {
		if p.Size == 0 {
			continue
		}
		if err := put(strings.TrimPrefix(p.Name, "/"), p.Data); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}
