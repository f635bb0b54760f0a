package jobs

import "time"

// report is what was told of a job, and when. The manager's mu guards it.
type report struct {
	news   bool
	toldAt time.Time
	timer  *time.Timer
}

// due puts the job among those to be told of now, or has it told when its pace allows. The caller holds mu.
func (j *Job) due(list []*Job) []*Job {
	if j.silent() {
		return list
	}
	j.news = true
	if j.timer != nil {
		return list
	}
	now := time.Now()
	if wait := pace - now.Sub(j.toldAt); wait > 0 {
		j.timer = time.AfterFunc(wait, j.late)
		return list
	}
	j.toldAt = now
	return append(list, j)
}

// late tells what waited for the pace.
func (j *Job) late() {
	j.m.mu.Lock()
	j.timer, j.toldAt = nil, time.Now()
	j.m.mu.Unlock()
	j.m.tell(j)
}

// announce tells of a job at once: that it waits, starts, is over.
func (m *Manager) announce(j *Job) {
	m.mu.Lock()
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
	j.news, j.toldAt = !j.silent(), time.Now()
	m.mu.Unlock()
	m.tell(j)
}

func (j *Job) silent() bool { return j.m.cfg.Observe == nil || j.spec.Internal || j.unlisted }

// tell hands out the newest of each job of which there is news. Nothing is held that work needs, so that an observer may
// ask for jobs; but it hears one thing after the other.
func (m *Manager) tell(jobs ...*Job) {
	for _, j := range jobs {
		m.tellOne(j)
	}
}

func (m *Manager) tellOne(j *Job) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.mu.Lock()
	news := j.news
	j.news = false
	var e Event
	if news {
		e = j.event()
	}
	m.mu.Unlock()
	if !news {
		return
	}
	defer func() {
		if p := recover(); p != nil { // what is wrong with the listener is not the work's fault
			m.cfg.Log.Error("an observer of jobs panicked", "job", j.id, "panic", p)
		}
	}()
	m.cfg.Observe(e)
}
