package jobs

import (
	"maps"
	"math"
)

// meter counts what is done of what is known to be there. It only rises, and reaches 100 by the job's good end alone.
type meter struct {
	parts       map[string]part
	done, total int64
	expected    float64 // of all children's shares
	gained      float64 // by them
	passed      float64 // of the progress, to the parent
	progress    float64
}

type part struct{ done, total int64 }

// mostBytes of one part, so that no sum overflows.
const mostBytes = 1 << 50

// SetParts says what there is to do: the bytes of each part, by name, such as an image's layers as its manifest tells
// them. Parts without bytes do not count. It may be called again as more comes to be known; the progress then waits
// rather than falls. A part that has its bytes already, such as a layer that the engine holds, is left out.
func (j *Job) SetParts(totals map[string]int64) {
	j.update(func() bool {
		if j.parts == nil {
			j.parts = map[string]part{}
		}
		for name, total := range totals {
			p, ok := j.parts[name]
			if !ok && len(j.parts) >= mostParts {
				continue
			}
			p.total = min(max(total, 0), mostBytes)
			p.done = min(p.done, p.total)
			j.parts[name] = p
		}
		j.done, j.total = 0, 0
		for p := range maps.Values(j.parts) {
			j.done, j.total = j.done+p.done, j.total+p.total
		}
		return true
	})
}

// SetDone says how many bytes of a part are done. Of a part that was not told of it says nothing, and it never takes
// back.
func (j *Job) SetDone(name string, done int64) {
	j.update(func() bool {
		p := j.parts[name]
		more := min(done, p.total) - p.done
		if more <= 0 {
			return false
		}
		p.done += more
		j.done += more
		j.parts[name] = p
		return true
	})
}

// SetBytes is for work of one part: bytes done of those that are known by now.
func (j *Job) SetBytes(done, total int64) {
	j.SetParts(map[string]int64{"": total})
	j.SetDone("", done)
}

// expect counts a child in. The caller holds mu.
func (j *Job) expect(share float64) { j.expected += share }

// share is what a child stands for in its parent.
func share(s float64) float64 {
	if math.IsNaN(s) {
		return 0
	}
	return min(max(s, 0), 1)
}

// measure works the progress out anew, and the parent's when it grew by a whole percent. It gives the jobs that are to
// be told of. The caller holds mu.
func (j *Job) measure(due []*Job) []*Job {
	own := 0.0
	if j.total > 0 {
		own = 100 * float64(j.done) / float64(j.total)
	}
	p := own*(1-min(j.expected, 1)) + j.gained/max(j.expected, 1)
	p = min(math.Floor(p*10+1e-6)/10, 99) // never more than there is; the end is told by the end
	j.progress = max(j.progress, p)
	if j.progress-j.passed >= 1 {
		due = j.pass(due)
	}
	return due
}

// pass tells the parent. The caller holds mu.
func (j *Job) pass(due []*Job) []*Job {
	up := j.parent
	if up == nil || up.phase == over || j.spec.Share == 0 {
		return due
	}
	up.gained += j.spec.Share * (j.progress - j.passed)
	j.passed = j.progress
	before := up.progress
	due = up.measure(due)
	if up.progress > before {
		due = up.due(due)
	}
	return due
}

// end is the last of the progress: all of it after a good end. The caller holds mu.
func (j *Job) end(good bool) (due []*Job) {
	if good {
		j.progress = 100
	}
	return j.pass(nil)
}
