package web

import (
	"runtime/debug"
	"strings"
	"sync"

	"github.com/castellan/castellan/supervisor/api"
)

// about is what the page about the program shows.
type about struct {
	Status  api.Status
	Host    api.HostInfo
	Modules []module
	Vendor  []module
}

// module is a work that is part of the program.
type module struct{ Name, Version, Licence string }

// vendored are the works of the pages; static/vendor/README.md says where each is from.
var vendored = []module{
	{"htmx", "2.0.11", "0BSD"},
	{"htmx-ext-sse", "2.2.4", "0BSD"},
	{"idiomorph", "0.8.0", "0BSD"},
	{"Lucide", "1.62.0", "ISC"},
}

func (v *visit) about() (answer, error) {
	st, err := v.status()
	if err != nil {
		return answer{}, err
	}
	out := about{Status: st, Modules: modules(), Vendor: vendored}
	out.Host, _ = v.api.Host(v.ctx()) // what it does not tell is left out
	return show("about", out)
}

// modules are the Go modules that the program was built from.
var modules = sync.OnceValue(func() (out []module) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	out = append(out, module{"Go", strings.TrimPrefix(info.GoVersion, "go"), ""})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out = append(out, module{m.Path, m.Version, ""})
	}
	return out
})
