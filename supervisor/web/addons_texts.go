package web

import (
	"errors"
	"io"
	"net/http"

	"github.com/castellan/castellan/supervisor/api"
)

// mostText bounds what is read of a file of an add-on, in bytes.
const mostText = 1 << 20

// addonText reads a file of the add-on as Markdown; none says that it brings none.
func (v *visit) addonText(p *addonPage, file api.AddonFile) error {
	r, err := v.api.AddonFile(v.ctx(), v.slug(), file)
	var e *api.Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		p.None = true
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, mostText))
	p.Docs, p.None = markdown(string(b), 2), len(b) == 0
	return err
}

// addonChanges tells what changed: what the author says, and what was done here.
func (v *visit) addonChanges() (answer, error) {
	return v.tab("changes", func(p *addonPage) error {
		for _, c := range p.Info.Changes {
			if c.Done {
				p.History = append(p.History, v.course(c))
			}
		}
		if !p.Info.Changelog {
			p.None = true
			return nil
		}
		return v.addonText(p, api.FileChangelog)
	})
}

func (v *visit) addonDocs() (answer, error) {
	return v.tab("docs", func(p *addonPage) error {
		if !p.Info.Documentation {
			p.None = true
			return nil
		}
		return v.addonText(p, api.FileDocumentation)
	})
}
