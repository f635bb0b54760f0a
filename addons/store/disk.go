package store

import (
	"os"

	"github.com/castellan/castellan/config/durable"
)

// disk is every step the store takes on the file system, but for the download itself, which nothing names. Tests cut
// the power before and after each.
type disk interface {
	MkdirAll(dir string) error
	// Mkdir and Create make one entry below root, unsynced.
	Mkdir(root *os.Root, name string) error
	Create(root *os.Root, name string, data []byte) error
	// SyncTree returns after everything below dir survives a power cut.
	SyncTree(dir string) error
	Rename(old, name string) error
	WriteFile(name string, data []byte) error
	RemoveAll(dir string) error
}

type osDisk struct{}

var _ disk = osDisk{}

func (osDisk) MkdirAll(dir string) error                { return durable.MkdirAll(dir, 0o700) }
func (osDisk) Mkdir(root *os.Root, name string) error   { return root.Mkdir(name, 0o755) }
func (osDisk) SyncTree(dir string) error                { return durable.SyncTree(dir) }
func (osDisk) Rename(old, name string) error            { return durable.Rename(old, name) }
func (osDisk) WriteFile(name string, data []byte) error { return durable.WriteFile(name, data, 0o600) }
func (osDisk) RemoveAll(dir string) error               { return os.RemoveAll(dir) }

func (osDisk) Create(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close() // the copy is given up
		return err
	}
	return f.Close()
}
