package api

import "context"

// Row is one row of the table of routes.
type Row struct {
	Method, Path string
	Admin        bool // it is not for viewers
}

// Rows is the table of routes about add-ons and repositories, and the whole of it.
func Rows() (addons, all []Row) {
	row := func(rt route) Row { return Row{rt.method, rt.path, rt.people > Viewer} }
	for _, rt := range append(addonRoutes, repositoryRoutes...) {
		addons = append(addons, row(rt))
	}
	for _, rt := range table() {
		if rt.method != "" {
			all = append(all, row(rt))
		}
	}
	return addons, all
}

// AsRoot is the context of root's connection.
func AsRoot(ctx context.Context) context.Context {
	return context.WithValue(ctx, peerKey{}, peer{known: true})
}

// Mask is mask.
func Mask(options map[string]any, form []map[string]any) map[string]any { return mask(options, form) }
