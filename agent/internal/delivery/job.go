package delivery

import "github.com/adrian207/siemd/agent"

// A job is an errand beside the log: failed events that are sent again. While
// it runs only the runner's loop touches it, and when done is closed only its owner.
type job struct {
	open      int // parts that are not finished
	withdrawn bool
	taken     map[uint64]bool // by sequence number
	answers   map[uint64]refusal
	done      chan struct{}
}

func newJob() *job {
	return &job{taken: map[uint64]bool{}, answers: map[uint64]refusal{}, done: make(chan struct{})}
}

func (j *job) tookAll(events []agent.Event) {
	for i := range events {
		j.taken[events[i].Seq] = true
	}
}

func (j *job) refuseAll(refused []refusal) {
	for _, f := range refused {
		j.answers[f.event.Seq] = f
	}
}

func (r *Runner) endJob(j *job) { close(j.done) }

// withdraw takes back what was not sent yet.
func (r *Runner) withdraw(j *job) {
	j.withdrawn = true
	queue := r.queue
	r.queue = r.queue[:0:0]
	for _, p := range queue {
		if p.job == j {
			r.finish(p)
		} else {
			r.queue = append(r.queue, p)
		}
	}
}
