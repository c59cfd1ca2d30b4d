package delivery

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// A panicError is a plugin's panic, caught.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("it panicked: %v", e.value) }

func stack() string { return string(debug.Stack()) }

// logPanic logs err with its stack if it was a panic.
func (r *Runner) logPanic(err error, key string, value any) {
	var p *panicError
	if errors.As(err, &p) {
		r.o.Env.Log.Error("output panicked", key, value, "panic", fmt.Sprint(p.value), "stack", p.stack)
	}
}
