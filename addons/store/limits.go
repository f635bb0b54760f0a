package store

import "time"

// Limits bound what one repository may cost. They are far above what real repositories need.
type Limits struct {
	Refs    int64 // bytes of a server's list of branches
	Pack    int64 // bytes of a download
	Objects int   // files, folders and commits in it
	Total   int64 // bytes of it once unpacked
	Object  int64 // bytes of one object; a larger one refuses the repository, since it must be unpacked to be skipped
	File    int64 // bytes of one file; a larger one is left out
	Files   int   // files and folders of a copy
	Depth   int   // folders within folders
	Modules int   // git submodules
	Addons  int   // of one repository

	Stall    time.Duration // without a byte
	Deadline time.Duration // of one fetch with its submodules
}

// DefaultLimits are what the zero value stands for.
func DefaultLimits() Limits {
	return Limits{
		Refs: 8 << 20, Pack: 128 << 20, Objects: 60_000, Total: 256 << 20, Object: 32 << 20, File: 8 << 20,
		Files: 20_000, Depth: 16, Modules: 16, Addons: 2_000,
		Stall: 30 * time.Second, Deadline: 10 * time.Minute,
	}
}

func (l Limits) filled() Limits {
	d := DefaultLimits()
	l.Refs, l.Pack, l.Total = or(l.Refs, d.Refs), or(l.Pack, d.Pack), or(l.Total, d.Total)
	l.Object, l.File = or(l.Object, d.Object), or(l.File, d.File)
	l.Objects, l.Files, l.Depth = or(l.Objects, d.Objects), or(l.Files, d.Files), or(l.Depth, d.Depth)
	l.Modules, l.Addons = or(l.Modules, d.Modules), or(l.Addons, d.Addons)
	l.Stall, l.Deadline = or(l.Stall, d.Stall), or(l.Deadline, d.Deadline)
	return l
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Bounds on single files, in bytes.
const (
	maxRepositoryFile  = 64 << 10
	maxConfig          = 512 << 10
	maxTranslation     = 256 << 10
	maxTranslations    = 100
	maxText            = 1 << 20
	maxImage           = 2 << 20
	maxImageSide       = 8192 // a real logo has 4165
	maxImagePoints     = 16 << 20
	maxModulesFile     = 64 << 10
	maxList            = 4 << 20
	maxIndex           = 32 << 20
	maxRepositories    = 200
	maxProblems        = 200
	maxName            = 255 // of one file
	maxPath            = 1024
	maxReason          = 300
	maxDeltaDepth      = 500 // git makes at most 250
	maxSubmoduleDepth  = 4
	maxContainerName   = 80
	maxVersion         = 128
	maxField           = 512
	maxNames           = 64
	keptVersions       = 8 // of an add-on, with the time of first sight
	maxPublishers      = 2_000
	maxLedgerKeys      = 10
	maxLedgerAddresses = 10
)
