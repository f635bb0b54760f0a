package ledger_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/castellan/castellan/trust/ledger"
	"github.com/castellan/castellan/trust/trusttest"
)

func TestSegmentPathsAreTilePaths(t *testing.T) {
	for _, c := range []struct {
		n     uint64
		width int
		path  string
	}{
		{0, 256, "000"}, {67, 256, "067"}, {999, 256, "999"}, {1000, 256, "x001/000"}, {1067, 256, "x001/067"},
		{1234067, 256, "x001/x234/067"}, {5, 12, "005.p/12"}, {1068, 255, "x001/068.p/255"},
	} {
		if got := ledger.SegmentPath(c.n, c.width); got != c.path {
			t.Errorf("path of %d/%d is %q, want %q", c.n, c.width, got, c.path)
		}
		if n, width, err := ledger.ParseSegmentPath(c.path); err != nil || n != c.n || width != c.width {
			t.Errorf("%q reads as %d/%d, %v", c.path, n, width, err)
		}
	}
	for _, bad := range []string{
		"", "0", "67", "0067", "x001", "001/067", "x000/067", "x001/x067", "067.p/0", "067.p/256", "067.p/012", "067.p/", "067.p/-1",
		"../067", "x001/067/", "/067", "067.unverified", "x999/x999/x999/x999/x999/x999/x999/x999/999", "０６７",
	} {
		if n, width, err := ledger.ParseSegmentPath(bad); err == nil {
			t.Errorf("%q reads as %d/%d", bad, n, width)
		}
	}
}

func TestSegmentWidthFollowsFromTheCount(t *testing.T) {
	for _, c := range []struct {
		n, count uint64
		want     int
	}{{0, 0, 0}, {0, 1, 1}, {0, 256, 256}, {0, 257, 256}, {1, 256, 0}, {1, 257, 1}, {3, 1 << 60, 256}} {
		if got := ledger.SegmentWidth(c.n, c.count); got != c.want {
			t.Errorf("width of %d at %d is %d, want %d", c.n, c.count, got, c.want)
		}
	}
	if ledger.SegmentOf(1) != 0 || ledger.SegmentOf(256) != 0 || ledger.SegmentOf(257) != 1 {
		t.Error("transactions count from 1")
	}
}

func FuzzSegment(f *testing.F) {
	var c trusttest.Chain
	var whole []byte
	for range 3 {
		whole = ledger.AppendFrame(whole, c.Next(f, trusttest.Entry{Key: []byte("k"), Value: []byte("v")}))
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		r := ledger.NewSegmentReader(bytes.NewReader(b))
		for {
			tx, err := r.Next()
			if err != nil {
				if err == io.EOF && !bytes.Equal(again, b) {
					t.Fatalf("a whole segment of %d bytes reads as %d", len(b), len(again))
				}
				break
			}
			again = ledger.AppendFrame(again, tx)
		}
		if !bytes.HasPrefix(b, again) || r.Offset() != int64(len(again)) {
			t.Fatalf("read %d bytes that are not the start of the segment", len(again))
		}
	})
}

func FuzzSegmentPath(f *testing.F) {
	f.Add("x001/x234/067.p/12")
	f.Fuzz(func(t *testing.T, path string) {
		if n, width, err := ledger.ParseSegmentPath(path); err == nil && ledger.SegmentPath(n, width) != path {
			t.Fatalf("%q reads as %q", path, ledger.SegmentPath(n, width))
		}
	})
}
