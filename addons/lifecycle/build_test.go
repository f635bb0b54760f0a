package lifecycle

import (
	"errors"
	"strings"
	"testing"
)

// local offers the radio without an image.
func (w *world) local(version string) {
	w.t.Helper()
	w.offer("radio", []byte(strings.Replace(string(config("radio", version)), "image: ", "url: https://", 1)))
}

// TestNoImageStaysThatNothingNeeds: of a build that was not placed, and of one that a power cut has left.
func TestNoImageStaysThatNothingNeeds(t *testing.T) {
	w := newWorld(t)
	w.local("1")
	build := func() error { _, err := w.m.Build(ctx, radio, nil); w.rest(); return err }
	w.refuse = errors.New("another change is under way")
	if err := build(); !errors.Is(err, w.refuse) || len(w.images) > 0 {
		t.Errorf("refused: %v leaves %v", err, w.images)
	}
	w.refuse, w.images["of a cut"] = nil, true
	if err := build(); err != nil || len(w.images) != 1 || w.images["of a cut"] {
		t.Errorf("placed: %v leaves %v", err, w.images)
	}
	w.refuse = errors.New("another change is under way")
	w.local("2")
	if err := build(); !errors.Is(err, w.refuse) || len(w.images) != 1 {
		t.Errorf("an update that is refused: %v leaves %v", err, w.images)
	}
	w.images["of a cut"] = true
	if _, err := w.m.Uninstall(ctx, radio, KeepData); err != nil {
		t.Fatal(err)
	}
	if w.rest(); w.images["of a cut"] {
		t.Error("uninstalled: an image is left that nothing needs")
	}
}

// TestAnAddonIsBuiltOnceAtATime: the end of one build would take the image of the other.
func TestAnAddonIsBuiltOnceAtATime(t *testing.T) {
	w := newWorld(t)
	w.local("1")
	var second error
	w.during = func() {
		w.during = nil
		_, second = w.m.Build(ctx, radio, nil)
	}
	if _, err := w.m.Build(ctx, radio, nil); err != nil {
		t.Error(err)
	}
	if second == nil || !strings.Contains(second.Error(), "built already") {
		t.Errorf("the second: %v", second)
	}
	w.rest()
	if _, err := w.m.Build(ctx, radio, nil); err != nil {
		t.Errorf("after the first: %v", err)
	}
}
