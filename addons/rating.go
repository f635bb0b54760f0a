package addons

import "slices"

// risky are the capabilities that cost a point, once.
var risky = []string{"BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"}

// Rating is Home Assistant's security rating, from 1 (reaches everything) to 8. It looks at what the add-on asks for, not
// at what its owner granted. Signed is for an image that a ledger vouches for, profile for an AppArmor profile of its
// own that is loaded; the store has neither.
func (m Manifest) Rating(signed, profile bool) int {
	if m.DockerAPI || m.FullAccess {
		return 1
	}
	rating := 5
	add := func(points int, when bool) {
		if when {
			rating += points
		}
	}
	add(-1, !m.AppArmor)
	add(+1, m.AppArmor && profile)
	add(+2, m.Ingress)
	add(+1, !m.Ingress && m.AuthAPI)
	add(+1, signed)
	add(-1, m.KernelModules || slices.ContainsFunc(m.Privileged, func(c string) bool { return slices.Contains(risky, c) }))
	add(-1, m.HassioRole == "manager")
	add(-2, m.HassioRole == "admin")
	add(-1, m.HostNetwork)
	add(-2, m.HostPID)
	add(-1, m.HostUTS && slices.Contains(m.Privileged, "SYS_ADMIN"))
	return min(max(rating, 1), 8)
}
