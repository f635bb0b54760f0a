package web

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/castellan/castellan/supervisor/api"
)

// supportScreens are about the support bundle: what goes in, each file as it goes in, and the file. Nothing is sent anywhere.
var supportScreens = []screen{
	{"GET", "/ui/settings/support", api.Admin, (*visit).support},
	{"GET", "/ui/settings/support/file", api.Admin, (*visit).supportFile},
	{"GET", "/ui/settings/support/download", api.Admin, (*visit).supportDownload},
}

// supportPage is what the list shows.
type supportPage struct {
	api.SupportContents
	Hidden int // in all files
}

func (v *visit) support() (answer, error) {
	id := v.query("id")
	if v.query("gather") == "" && !idShape.MatchString(id) {
		return show("support", supportPage{})
	}
	c, err := v.api.SupportContents(v.ctx(), id)
	if err != nil {
		return answer{}, err
	}
	out := supportPage{SupportContents: c}
	for _, f := range c.Files {
		for _, n := range f.Hidden {
			out.Hidden += n
		}
	}
	return show("support", out)
}

// Part is what a file of a bundle is, in words.
func (p page) Part(f api.SupportFile) string {
	name := f.Name
	if strings.HasPrefix(name, "addons/") {
		name = "addon"
	}
	return p.v.ui.in(p.v.lang).known("support.what_"+name, f.What)
}

// supportText is one file: its text in pieces, so that what is hidden can be marked.
type supportText struct {
	ID string
	api.SupportFile
	Pieces []piece
	Cut    bool
}

type piece struct {
	Text   string
	Hidden bool
}

// mostShown is how much of a file a page shows; the download has all of it.
const mostShown = 200_000

func (v *visit) supportFile() (answer, error) {
	f, err := v.api.SupportFile(v.ctx(), v.query("id"), v.query("name"))
	if err != nil {
		return answer{}, err
	}
	out := supportText{ID: v.query("id"), SupportFile: f.SupportFile}
	if len(f.Text) > mostShown {
		f.Text, out.Cut = f.Text[:mostShown], true
	}
	out.Pieces = pieces(f.Text)
	return show("supportfile", out)
}

// hiddenWord is what stands in for something in a bundle; idShape is a bundle's id.
var (
	hiddenWord = regexp.MustCompile(`\*{8}|\bthis-host\b|\b(?:email|lan|ip|mac|hidden)-\d+\b`)
	idShape    = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// pieces cuts a text at what stands in for something that is hidden.
func pieces(text string) (out []piece) {
	at := 0
	for _, m := range hiddenWord.FindAllStringIndex(text, 5000) {
		out = append(out, piece{Text: text[at:m[0]]}, piece{Text: text[m[0]:m[1]], Hidden: true})
		at = m[1]
	}
	out = append(out, piece{Text: text[at:]})
	return slices.DeleteFunc(out, func(p piece) bool { return p.Text == "" })
}

func (v *visit) supportDownload() (answer, error) {
	path := "/castellan/support-bundle"
	if id := v.query("id"); idShape.MatchString(id) {
		path += "?id=" + id
	}
	return v.download(path, "castellan-support-"+v.now.Format("20060102-150405")+".zip", "application/zip")
}

// download hands on a file that the API gives. A page of another site can't ask for it: the cookie does not come along.
func (v *visit) download(path, name, media string) (answer, error) {
	resp, err := v.api.Raw(v.ctx(), "GET", path, nil, nil)
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, v.api.Refusal(resp)
	}
	return answer{serve: func(w http.ResponseWriter, _ *http.Request) {
		defer resp.Body.Close()
		h := w.Header()
		h.Set("Content-Type", media)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
		_, _ = io.Copy(patient{w, http.NewResponseController(w)}, resp.Body) // one who leaves, or a file that breaks off, is seen by who waits for it
	}}, nil
}

// patient writes what takes longer than a page: each piece must be taken in time, not all of it.
type patient struct {
	http.ResponseWriter
	ctl *http.ResponseController
}

// takeWithin is how long somebody may take to take a piece of a file, or to send one.
const takeWithin = 30 * time.Second

func (p patient) Write(b []byte) (int, error) {
	_ = p.ctl.SetWriteDeadline(time.Now().Add(takeWithin)) // a writer that knows no deadlines has none
	return p.ResponseWriter.Write(b)
}
