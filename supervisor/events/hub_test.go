package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func publish(t testing.TB, h *Hub, about About, data any) {
	t.Helper()
	if err := h.Publish(Event{about, data}); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t testing.TB, h *Hub, w Want, last string) *Subscriber {
	t.Helper()
	s, err := h.Subscribe(w, last)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// read is what waits for a subscriber, each as name, key and data.
func read(t testing.TB, s *Subscriber) (got []string) {
	t.Helper()
	list, _, err := s.take()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		got = append(got, strings.TrimSpace(m.Name+" "+m.Key+" "+string(m.Data)))
	}
	return got
}

func TestWhoGetsWhat(t *testing.T) {
	h := New(t.Context(), Config{})
	all := subscribe(t, h, Want{}, "")
	jobs := subscribe(t, h, Want{Topics: []Topic{Job, Plan}}, "")
	radio := subscribe(t, h, Want{May: Owned("radio")}, "")
	nobody := subscribe(t, h, Want{May: Owned("")}, "")
	publish(t, h, About{Job, "1", "radio"}, 1)
	publish(t, h, About{Job, "2", "mqtt"}, 2)
	publish(t, h, About{Plan, "", ""}, 3)
	if err := errors.Join(h.AddonState(AddonState{"radio", "started"}), h.Update(Update{Key: "core"}), h.Health(Health{Healthy: true}),
		h.Support(Support{Reasons: []string{"software"}}), h.Reloaded(Reloaded{})); err != nil {
		t.Fatal(err)
	}
	house := []string{`supervisor_update core {"update_key":"core","data":{}}`, `health_changed health {"healthy":true}`,
		`supported_changed supported {"supported":false,"unsupported_reasons":["software"]}`, `store_reloaded  {"repositories":[]}`}
	for _, c := range []struct {
		name string
		s    *Subscriber
		want []string
	}{
		{"all", all, append([]string{"job 1 1", "job 2 2", "plan  3", `addon radio {"slug":"radio","state":"started"}`}, house...)},
		{"by topic", jobs, []string{"job 1 1", "job 2 2", "plan  3"}},
		{"its own", radio, []string{"job 1 1", `addon radio {"slug":"radio","state":"started"}`}},
		{"nobody's", nobody, nil},
	} {
		if got := read(t, c.s); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMistakesAreNotPublished(t *testing.T) {
	h := New(t.Context(), Config{})
	s := subscribe(t, h, Want{}, "")
	for _, e := range []Event{
		{About{Topic: "jobs"}, 1}, {About{Topic: "reset"}, 1}, {About{Topic: "job\ndata: x"}, 1}, {About{}, 1}, {About{Topic: Job}, func() {}},
		{About{Topic: Job}, strings.Repeat("x", mostData)}, {About{Topic: Job, Key: strings.Repeat("x", mostKey+1)}, 1},
	} {
		if err := h.Publish(e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40v: %v", e.About, err)
		}
	}
	if got := read(t, s); got != nil || h.seq != 0 {
		t.Errorf("published: %q", got)
	}
}

func TestParseTopics(t *testing.T) {
	for list, want := range map[string]string{"": "[]", "job": "[job]", "job,addon,job": "[job addon]", "x": "!", "job,": "!", ",": "!", "reset": "!", "JOB": "!"} {
		got, err := ParseTopics(list)
		if is := fmt.Sprint(got); (err != nil) != (want == "!") || err == nil && is != want {
			t.Errorf("%q: %s %v, want %s", list, is, err, want)
		}
	}
}

func TestTheNewestOfAKeyCounts(t *testing.T) {
	h := New(t.Context(), Config{Pending: 4, Keep: 4})
	s := subscribe(t, h, Want{}, "")
	for i := range 1000 {
		publish(t, h, About{Job, fmt.Sprint(i % 3), ""}, i)
		if i == 500 {
			publish(t, h, About{Log, "", ""}, "between")
		}
	}
	if got, want := read(t, s), []string{`log  "between"`, "job 0 999", "job 1 997", "job 2 998"}; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) || got[0] != want[0] || got[3] != want[1] {
		t.Errorf("got %q, want %q", got, want)
	}
	publish(t, h, About{Job, "0", ""}, "new")
	if got := read(t, s); !slices.Equal(got, []string{`job 0 "new"`}) {
		t.Errorf("then %q", got)
	}
	late := subscribe(t, h, Want{}, id{h.epoch, 2}.String())
	publish(t, h, About{Job, "1", ""}, "newer")
	if got := read(t, late); len(got) != 5 || got[0] != `log  "between"` || got[3] != `job 0 "new"` || got[4] != `job 1 "newer"` {
		t.Errorf("one that was away: %q", got)
	}
	for i := range 100 {
		publish(t, h, About{Job, fmt.Sprint("other", i), ""}, i)
	}
	if n, k := h.kept.order.Len(), len(h.kept.newest); n != 4 || k != 4 {
		t.Errorf("%d events of %d keys are kept, want 4", n, k)
	}
}

func TestReplay(t *testing.T) {
	h := New(t.Context(), Config{Keep: 5})
	for i := range 10 {
		publish(t, h, About{Log, "", []string{"", "radio"}[i%2]}, i+1)
	}
	reset := func(why string) []string { return []string{`reset  {"reason":"` + why + `"}`} }
	const foreign = "the last event is none of this daemon's"
	at := func(n uint64) string { return id{h.epoch, n}.String() }
	for _, c := range []struct {
		name, last string
		may        func(About) bool
		want       []string
	}{
		{"a new client", "", nil, nil},
		{"all since", at(7), nil, []string{"log  8", "log  9", "log  10"}},
		{"nothing since", at(10), nil, nil},
		{"all that is held", at(5), nil, []string{"log  6", "log  7", "log  8", "log  9", "log  10"}},
		{"more than is held", at(4), nil, reset("the last event was too long ago")},
		{"before the first", at(0), nil, reset("the last event was too long ago")},
		{"only what one may have", at(6), Owned("radio"), []string{"log  8", "log  10"}},
		{"another run", id{newEpoch(), 7}.String(), nil, reset("the daemon was restarted")},
		{"the future", at(11), nil, reset("the last event has not happened")},
		{"nonsense", "7", nil, reset(foreign)},
		{"almost", at(7) + " ", nil, reset(foreign)},
		{"another way to write it", strings.ToUpper(h.epoch) + "x-07", nil, reset(foreign)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := subscribe(t, h, Want{May: c.may}, c.last)
			if got := read(t, s); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSlowOnesAreDropped(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   Config
		about func(i int) About
		holds int // events that one may lag behind
	}{
		{"too many", Config{Pending: 10}, func(int) About { return About{Topic: Log} }, 10},
		{"too much", Config{PendingBytes: 10_000}, func(i int) About { return About{Topic: Job, Key: fmt.Sprint(i)} }, 9},
		{"one thing, however often", Config{Pending: 10}, func(int) About { return About{Topic: Job, Key: "1"} }, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New(t.Context(), c.cfg)
			slow, quick := subscribe(t, h, Want{}, ""), subscribe(t, h, Want{}, "")
			for i := range c.holds {
				publish(t, h, c.about(i), strings.Repeat("x", 1000))
				if got := read(t, quick); len(got) != 1 || h.Streams() != 2 {
					t.Fatalf("after %d events: %d read, %d streams", i+1, len(got), h.Streams())
				}
			}
			if c.holds == 1000 {
				return
			}
			publish(t, h, c.about(c.holds), strings.Repeat("x", 1000))
			if _, _, err := slow.take(); !errors.Is(err, ErrSlow) || h.Streams() != 1 || slow.pending.order.Len() != 0 {
				t.Errorf("the slow one: %v, %d streams, %d pending", err, h.Streams(), slow.pending.order.Len())
			}
			if got := read(t, quick); len(got) != 1 {
				t.Errorf("the quick one: %d read", len(got))
			}
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := New(t.Context(), Config{Streams: 7, StreamsEach: 2})
	open := func(caller string) (*Subscriber, error) { return h.Subscribe(Want{Caller: caller}, "") }
	var of []*Subscriber
	for i, want := range []bool{true, true, false} {
		s, err := open("radio")
		if (err == nil) != want || err != nil && !errors.Is(err, ErrTooMany) {
			t.Fatalf("stream %d: %v", i, err)
		}
		if s != nil {
			of = append(of, s)
		}
	}
	for i, want := range []bool{true, true, true, true, true, false} {
		if _, err := open(fmt.Sprint(i)); (err == nil) != want {
			t.Fatalf("stream of caller %d: %v", i, err)
		}
	}
	of[0].Close()
	of[0].Close()
	if _, err := open("0"); err == nil {
		t.Error("the last place is for who has none")
	}
	if _, err := open("tv"); err != nil || h.Streams() != 7 {
		t.Errorf("after one closed: %v, %d are open", err, h.Streams())
	}
	h.Evict("radio", "the token was taken away")
	if _, _, err := of[1].take(); err == nil || !strings.Contains(err.Error(), "the token was taken away") || h.Streams() != 6 || len(h.callers) != 6 {
		t.Errorf("evicted: %v, %d streams, callers %v", err, h.Streams(), h.callers)
	}
}

// TestFewCallersTakeNotAllStreams has callers come one after the other, each of whom opens as many as he gets.
func TestFewCallersTakeNotAllStreams(t *testing.T) {
	h := New(t.Context(), Config{Streams: 512, StreamsEach: 256})
	for i, want := range []int{256, 128, 64, 32, 16, 8} {
		got := 0
		for {
			if _, err := h.Subscribe(Want{Caller: fmt.Sprint("uid ", i)}, ""); err != nil {
				if !errors.Is(err, ErrTooMany) {
					t.Fatal(err)
				}
				break
			}
			got++
		}
		if got != want {
			t.Errorf("caller %d has %d streams, want %d", i, got, want)
		}
	}
	if _, err := h.Subscribe(Want{Caller: "root"}, ""); err != nil {
		t.Errorf("who comes last finds no place: %v", err)
	}
}

func TestNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		h := New(ctx, Config{})
		s := subscribe(t, h, Want{}, "")
		time.AfterFunc(time.Minute, func() { publish(t, h, About{Topic: Log}, 1) })
		began := time.Now()
		list, err := s.Next(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != h.epoch+"-1" || string(list[0].Data) != "1" || time.Since(began) != time.Minute {
			t.Errorf("%v %v after %v", list, err, time.Since(began))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing came: %v", err)
		}
		stop()
		if _, err := s.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("the daemon stopped: %v", err)
		}
		if _, err := h.Subscribe(Want{}, ""); !errors.Is(err, ErrClosed) || h.Streams() != 0 {
			t.Errorf("after the end: %v, %d streams", err, h.Streams())
		}
	})
}

func FuzzLastEventID(f *testing.F) {
	h := New(f.Context(), Config{Keep: 8, Streams: 1 << 20, StreamsEach: 1 << 20})
	h.epoch = "0123456789abcdef"
	for i := range 20 {
		publish(f, h, About{Log, "", ""}, i)
	}
	for _, s := range []string{"", "0123456789abcdef-12", "0123456789abcdef-15", "0123456789abcdef-20", "0123456789abcdef-21", "0123456789ABCDEF-15", "fedcba9876543210-3", "0123456789abcdef-015",
		"0123456789abcdef-+15", "0123456789abcdef-18446744073709551615", "0123456789abcdef-18446744073709551616", "-", "\x00", "0123456789abcdef-15\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, last string) {
		i, ok := parseID(last)
		if ok && i.String() != last {
			t.Fatalf("%q was read as %s", last, i)
		}
		s := subscribe(t, h, Want{}, last)
		list, _, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		known := ok && i.epoch == h.epoch && i.seq >= 12 && i.seq <= 20
		switch {
		case last == "" && len(list) == 0:
		case known && uint64(len(list)) == 20-i.seq:
			for n, m := range list {
				if m.seq != i.seq+uint64(n)+1 {
					t.Fatalf("after %q comes %d", last, m.seq)
				}
			}
		case !known && len(list) == 1 && list[0].Name == nameReset && json.Valid(list[0].Data):
		default:
			t.Fatalf("after %q come %d messages", last, len(list))
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	h := New(ctx, Config{Keep: 64, Pending: 1 << 20, PendingBytes: 1 << 30})
	const publishers, each = 4, 500
	var readers, writers sync.WaitGroup
	for n := range 8 {
		s := subscribe(t, h, Want{Caller: fmt.Sprint(n), May: func(a About) bool { return n%2 == 0 || a.Owner == "radio" }}, "")
		readers.Go(func() {
			last, got := uint64(0), 0
			for want := publishers * each / (1 + n%2); got < want; {
				list, err := s.Next(ctx)
				if err != nil {
					t.Errorf("subscriber %d after %d events: %v", n, got, err)
					return
				}
				for _, m := range list {
					if m.seq <= last {
						t.Errorf("subscriber %d got %d after %d", n, m.seq, last)
					}
					last = m.seq
				}
				got += len(list)
			}
		})
	}
	for range publishers {
		writers.Go(func() {
			for i := range each {
				publish(t, h, About{Log, "", []string{"", "radio"}[i%2]}, i)
				if i%50 == 0 {
					if s, err := h.Subscribe(Want{Caller: "guest"}, id{h.epoch, 1}.String()); err == nil {
						s.Close()
					}
				}
			}
		})
	}
	writers.Wait()
	readers.Wait()
}
