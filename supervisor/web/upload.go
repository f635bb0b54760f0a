package web

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"
)

// uploadPath is the one address whose forms may be larger than memory: the file goes on to the API as it comes.
const uploadPath = "/ui/backups/upload"

// carriesFile tells whether a request is a form with a file, which is not read before its screen does.
func carriesFile(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && r.URL.Path == uploadPath && kind == "multipart/form-data"
}

// postUpload takes in a backup file. The form's token comes before the file, so that nothing is read of one who has none.
func (v *visit) postUpload() (answer, error) {
	fail := func(err error) (answer, error) { return v.again("/ui/backups", err) }
	in, err := v.r.MultipartReader()
	if err != nil {
		return fail(v.unfit("backups.no_file"))
	}
	token, err := in.NextPart()
	if err != nil || token.FormName() != "csrf" {
		return fail(v.unfit("backups.no_file"))
	}
	csrf, err := io.ReadAll(io.LimitReader(token, 512))
	if err != nil {
		return fail(v.unfit("backups.no_file"))
	}
	file, err := in.NextPart()
	if err != nil || file.FileName() == "" {
		return fail(v.unfit("backups.no_file"))
	}
	v.api = v.ui.inside(v.r, string(csrf))
	if err := v.hand(file); err != nil {
		return fail(err)
	}
	return v.done("/ui/backups", "backups.taken_in")
}

// hand gives a file on to the API as it comes. Each piece must come in time, not all of it.
func (v *visit) hand(file io.Reader) error {
	ctl := http.NewResponseController(v.w)
	_ = ctl.SetWriteDeadline(time.Time{}) // the answer comes after the file; a writer that knows no deadlines has none
	body, w := io.Pipe()
	out := multipart.NewWriter(w)
	go func() {
		part, err := out.CreateFormFile("file", "backup.tar")
		if err == nil {
			_, err = io.Copy(part, slow{file, ctl})
		}
		if err == nil { // a file that broke off is none, whatever came of it
			err = out.Close()
		}
		_ = w.CloseWithError(err) // of a pipe: it can't fail
	}()
	resp, err := v.api.Raw(v.ctx(), "POST", "/backups/new/upload", http.Header{"Content-Type": {out.FormDataContentType()}}, body)
	_ = body.CloseWithError(errors.New("nobody reads on")) // of a pipe: it can't fail
	_ = ctl.SetWriteDeadline(time.Now().Add(takeWithin))   // as above
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return v.api.Refusal(resp)
	}
	return resp.Body.Close()
}

// slow reads what may take longer than a form.
type slow struct {
	io.Reader
	ctl *http.ResponseController
}

func (s slow) Read(p []byte) (int, error) {
	_ = s.ctl.SetReadDeadline(time.Now().Add(takeWithin)) // a reader that knows no deadlines has none
	return s.Reader.Read(p)
}
