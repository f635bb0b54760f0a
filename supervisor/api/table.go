package api

import (
	"cmp"
	"slices"
	"sort"
)

// route is one row of the table: what is called, which people and which add-ons may, what it is for, and what answers. People
// may call what needs their role or a lower one; [Nobody] together with [every] is open without a token,
// together with [never] to people on the network who have not logged in. A row without a
// method is a path that is closed to add-ons before anything else is asked.
type route struct {
	method string
	path   string
	people Role
	addons addonRight
	doc    string
	endpoint
}

// table is the whole API, in order of paths: reviewing who may do what is reading its parts. What is not in it is refused.
func table() []route {
	all := slices.Concat(baseRoutes, authRoutes, addonRoutes, repositoryRoutes, trustRoutes, refusalRoutes, logRoutes, decisionRoutes, guestRoutes, serviceRoutes, systemRoutes, coreRoutes, haLogRoutes,
		haAddonRoutes, ingressRoutes, storeRoutes, jobRoutes, eventRoutes, peopleRoutes, resolutionRoutes, securityRoutes, hostRoutes, deviceRoutes, backupRoutes, settingsRoutes, supportRoutes, closedRoutes)
	sort.Slice(all, func(i, j int) bool {
		return cmp.Or(cmp.Compare(all[i].path, all[j].path), cmp.Compare(all[i].method, all[j].method)) < 0
	})
	return all
}

// closedRoutes are paths that no add-on may touch, whatever lies there.
var closedRoutes = []route{
	{path: "/castellan"},
	{path: "/castellan/"},
	{path: "/addons/{slug}/sys_options"},
	{path: "/security/options"},
	{path: "/security/integrity"},
	{path: "/addons/{slug}/security"},
	{path: "/addons/self/update"},
}
