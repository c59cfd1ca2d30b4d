package supervisor

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// An Attempt was one to change the config, the first start included.
type Attempt struct {
	Time       time.Time
	By         Actor
	Action     string // start, reload, or what the audit log calls a change of a connection
	Target     string // the connection, if it is about one
	Generation int    // of the config that runs after it
	Err        error  // why everything is as it was; nil: applied
	Plan       Plan   // what was done: without what is kept
	Warnings   []agent.Problem
}

// maxAttempts is how many are remembered, in memory. The audit log has them all.
const maxAttempts = 100

// attempts are the latest ones.
type attempts struct {
	mu   sync.Mutex
	list []Attempt // guarded by mu; oldest first
}

func (l *attempts) add(t Attempt) {
	kept := func(s Step) bool { return s.Action == Keep }
	t.Plan.Inputs = slices.DeleteFunc(slices.Clone(t.Plan.Inputs), kept)
	t.Plan.Outputs = slices.DeleteFunc(slices.Clone(t.Plan.Outputs), kept)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == maxAttempts {
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, t)
}

// noteAttempt remembers what came of a change. The caller holds a.changing.
func (a *Agent) noteAttempt(by Actor, action, target string, p Plan, warnings []agent.Problem, err error) {
	t := Attempt{Time: time.Now(), By: by, Action: action, Target: target, Generation: a.Generation(), Err: err, Warnings: warnings}
	if err == nil {
		t.Plan = p
	}
	a.attempts.add(t)
}

// Attempts are the latest ones to change the config, the latest first.
func (a *Agent) Attempts() []Attempt {
	a.attempts.mu.Lock()
	defer a.attempts.mu.Unlock()
	list := slices.Clone(a.attempts.list)
	slices.Reverse(list)
	return list
}

// Problems are those that the config of the attempt had, warnings included.
func (t *Attempt) Problems() []agent.Problem {
	var bad *ConfigError
	if errors.As(t.Err, &bad) {
		return bad.Problems
	}
	return t.Warnings
}
