package trust

import (
	"testing"
	"time"
)

// machine is a clock's hardware.
type machine struct {
	t      *testing.T
	mem    *Memory
	clock  *Clock
	system time.Time
	uptime time.Duration
	synced bool
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, mem: newMemory(t), system: worldStart}
	m.boot()
	return m
}

func (m *machine) boot() {
	m.mem, m.uptime = m.mem.reopen(m.t), 0
	m.clock = &Clock{
		Memory: m.mem,
		System: func() time.Time { return m.system }, Uptime: func() time.Duration { return m.uptime }, Synced: func() bool { return m.synced },
	}
}

func (m *machine) pass(d time.Duration) { m.system, m.uptime = m.system.Add(d), m.uptime+d }

func (m *machine) now(want time.Time, ok bool) {
	m.t.Helper()
	if got, good := m.clock.Now(); !got.Equal(want) || good != ok {
		m.t.Fatalf("now %s %t, want %s %t", stamp(got), good, stamp(want), ok)
	}
}

func (m *machine) heard(t time.Time, want bool) {
	m.t.Helper()
	got, err := m.clock.Heard(t, Root{Expires: worldStart.AddDate(1, 0, 0)})
	if err != nil || got != want {
		m.t.Fatalf("checkpoint of %s: taken %t %v, want %t", stamp(t), got, err, want)
	}
}

var epoch = time.Unix(0, 0).UTC()

func TestClockOfAFreshMachineIn1970IsNotBelieved(t *testing.T) {
	m := newMachine(t)
	m.system = epoch
	m.now(epoch, false)
	m.synced = true
	m.now(epoch, true)
	m.synced = false
	m.heard(worldStart, true)
	m.now(worldStart, true)
}

func TestBootIn1970ContinuesFromTheFloor(t *testing.T) {
	m := newMachine(t)
	m.heard(worldStart.Add(time.Hour), true)
	m.now(worldStart.Add(time.Hour), true)
	m.system = epoch
	m.boot()
	m.now(worldStart.Add(time.Hour), true)
	m.pass(10 * time.Minute)
	m.now(worldStart.Add(70*time.Minute), true)
}

// TestHourlyRebootsTo1970StillAge: a freeze that hides behind reboots must run into LEDGER_EXPIRED all the same.
func TestHourlyRebootsTo1970StillAge(t *testing.T) {
	m := newMachine(t)
	m.heard(worldStart, true)
	for range 24 * 20 {
		m.system = epoch
		m.boot()
		for range 60 {
			m.pass(time.Minute)
			m.clock.Now()
		}
	}
	now, ok := m.clock.Now()
	if age := now.Sub(worldStart); !ok || age < 14*24*time.Hour+time.Second || age > 20*24*time.Hour {
		t.Errorf("after 20 days of hourly reboots the clock is %s old", age)
	}
}

func TestSpoofed2035HealsByItself(t *testing.T) {
	m := newMachine(t)
	m.heard(worldStart, true)
	real := m.system
	m.system = time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)
	m.now(m.system, true)
	m.pass(7 * time.Hour) // long enough to be kept
	m.clock.Now()
	m.system = real.Add(7 * time.Hour)
	m.boot()
	m.now(real.Add(7*time.Hour), true)
}

func TestLedgerCantPushTheClock(t *testing.T) {
	m := newMachine(t)
	m.synced = true
	m.heard(m.system.Add(24*time.Hour), true)
	m.heard(m.system.Add(24*time.Hour+time.Second), false)
	m.now(m.system.Add(24*time.Hour), true)
	m.synced = false
	m.heard(worldStart.AddDate(1, 0, 0).Add(time.Second), false)
	m.heard(worldStart.AddDate(0, 11, 0), true)
	m.now(worldStart.AddDate(0, 11, 0), true)
	if ok, _ := m.clock.Heard(worldStart.AddDate(2, 0, 0), Root{}); ok {
		t.Error("taken without a root and without a time server")
	}
}

func TestOlderCheckpointLowersNothing(t *testing.T) {
	m := newMachine(t)
	m.system = epoch
	m.heard(worldStart, true)
	m.pass(time.Hour)
	m.heard(worldStart.Add(30*time.Minute), true)
	m.now(worldStart.Add(time.Hour), true)
}

func TestOnlyANewerRootLowersTheClock(t *testing.T) {
	m := newMachine(t)
	m.system = epoch
	m.heard(worldStart.AddDate(0, 6, 0), true)
	root := Root{Version: 2, ClockFloor: worldStart}
	for range 2 { // seen again, after more has passed, it changes nothing
		if err := m.clock.Root(root); err != nil {
			t.Fatal(err)
		}
		m.now(worldStart.Add(m.uptime), true)
		m.pass(time.Hour)
	}
	if err := m.clock.Root(Root{Version: 3}); err != nil { // says nothing of the clock
		t.Fatal(err)
	}
	m.now(worldStart.Add(2*time.Hour), true)
	kept := m.mem.clock().now(0)
	m.boot()
	if err := m.clock.Root(root); err != nil {
		t.Fatal(err)
	}
	m.now(kept, true)
}

func TestClockSparesTheDisk(t *testing.T) {
	m := newMachine(t)
	m.synced = true
	writes, last := 0, m.mem.clock()
	for range 24 * 60 { // a day of checkpoints every minute
		m.pass(time.Minute)
		m.heard(m.system, true)
		m.clock.Now()
		if now := m.mem.clock(); now != last {
			writes, last = writes+1, now
		}
	}
	if writes > 6 {
		t.Errorf("%d writes a day, want at most 6", writes)
	}
}
