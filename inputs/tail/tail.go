// Package tail is the input that reads files: log files that are rotated in
// any of the usual ways, folders into which apps drop files, compressed files
// and named pipes. Every line becomes one event, once.
//
// A file is known by device, inode and birth time, and its content by a hash
// of its head and of the last KiB before the position, so that a file that was
// rotated, truncated, replaced or compressed, also while the agent was down,
// is told from one that was not. The position travels with the lines into the
// log, in one fsync (see mark.go). All decisions are made in one goroutine
// (run.go); two more hand batches over and wait for the disk (handover.go).
//
// What remains a loss is counted: lines that were in a file when it was
// truncated or deleted before they could be read, and of which no copy is left.
package tail

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/adrian207/siemd/agent"
)

// Config holds the keys of a tail input.
type Config struct {
	Paths          []string       `yaml:"paths" doc:"files to read; *, ?, [a-z], {a,b} and ** (any directories) are understood" required:"true" example:"[/var/log/apps/*.jsonl]"`
	Exclude        []string       `yaml:"exclude" doc:"files not to read; a pattern without a slash is compared with the name alone" example:"[\"*.tmp\"]"`
	StartAt        string         `yaml:"start_at" doc:"where to begin in files found at the very first start; later ones are read whole" oneof:"beginning|end"`
	MaxLine        agent.Bytes    `yaml:"max_line" doc:"longest line in bytes; of a longer one this much is kept with the refused lines" example:"1MiB"`
	OnDone         string         `yaml:"on_done" doc:"what to do with a file that is read and delivered" oneof:"keep|delete|archive"`
	DoneAfter      agent.Duration `yaml:"done_after" doc:"how long a file must not have changed before on_done applies" example:"1m"`
	ArchiveDir     string         `yaml:"archive_dir" doc:"directory for on_done: archive" example:"/var/log/apps/done"`
	FollowSymlinks bool           `yaml:"follow_symlinks" doc:"read what symbolic links point to; only where every writer to the directory is trusted"`
	AllowHardLinks bool           `yaml:"allow_hard_links" doc:"read files that have a second name; only where every writer to the directory is trusted"`
}

var defaults = Config{
	StartAt:   "beginning",
	MaxLine:   1 << 20,
	OnDone:    "keep",
	DoneAfter: agent.Duration(time.Minute),
}

func init() {
	agent.RegisterInput("tail", defaults, func(c Config, env agent.Env) (agent.Input, error) { return New(c, env) })
}

// Validate checks what types and tags cannot.
func (c Config) Validate() error {
	for _, p := range c.Paths {
		switch {
		case p == "":
			return &agent.KeyError{Key: "paths", Message: "a path is empty"}
		case !doublestar.ValidatePattern(filepath.ToSlash(p)):
			return &agent.KeyError{Key: "paths", Message: fmt.Sprintf("%q is not a pattern", p), Hint: "close every [ and {"}
		case hasDotDot(p):
			return &agent.KeyError{Key: "paths", Message: fmt.Sprintf("%q goes through ..", p), Hint: "write the path without it"}
		}
	}
	for _, p := range c.Exclude {
		if !doublestar.ValidatePattern(filepath.ToSlash(p)) {
			return &agent.KeyError{Key: "exclude", Message: fmt.Sprintf("%q is not a pattern", p), Hint: "close every [ and {"}
		}
	}
	if c.MaxLine < 1<<10 || c.MaxLine > 64<<20 {
		return &agent.KeyError{Key: "max_line", Message: fmt.Sprintf("%s is out of range", c.MaxLine), Hint: "from 1KiB to 64MiB"}
	}
	if c.OnDone == "archive" && c.ArchiveDir == "" {
		return &agent.KeyError{Key: "archive_dir", Message: "on_done: archive needs archive_dir", Hint: "a directory, for example /var/log/apps/done"}
	}
	if c.OnDone != "keep" && c.FollowSymlinks {
		return &agent.KeyError{Key: "on_done", Message: "on_done: " + c.OnDone + " and follow_symlinks do not go together", Hint: "on_done: keep"}
	}
	if c.OnDone != "archive" && c.ArchiveDir != "" {
		return &agent.KeyError{Key: "archive_dir", Message: "archive_dir is used only with on_done: archive"}
	}
	return nil
}

func hasDotDot(path string) bool {
	for _, part := range strings.Split(filepath.ToSlash(path), "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// timing holds the intervals, so that tests need not wait.
type timing struct {
	scan     time.Duration // a full look at all directories, with inotify working
	poll     time.Duration // the same without
	tick     time.Duration // a look at files that were rotated away, and at waiting decisions
	quiet    time.Duration // a rotated file is finished after so long without a change
	abandon  time.Duration // the same for one whose successor never came
	settle   time.Duration // a compressed file is read after so long without a change
	twin     time.Duration // a file that is like a living one waits so long for that one to be truncated, and as long as it grows
	retry    time.Duration // first pause after the log did not take a batch; doubles to 30 times that
	pace     time.Duration // between two looks at notifications
	forget   time.Duration // a file that is gone stays known so long
	clock    time.Duration // the filesystem's clock is behind by no more
	open     int           // descriptors kept open, at most; fewer where the process may have few
	noNotify bool          // never use inotify
}

var defaultTiming = timing{
	scan: 10 * time.Second, poll: time.Second, tick: 200 * time.Millisecond, quiet: 5 * time.Second,
	abandon: 5 * time.Minute, settle: time.Second, twin: 5 * time.Second, retry: time.Second,
	pace: 40 * time.Millisecond, forget: 24 * time.Hour, clock: 10 * time.Millisecond, open: 256,
}

// Tail is the input.
type Tail struct {
	config   Config
	env      agent.Env
	timing   timing
	patterns []pattern
	stat     stat
	current  atomic.Pointer[run] // the run in progress, for Files
}

// New makes the input; c must be valid.
func New(c Config, env agent.Env) (*Tail, error) {
	t := &Tail{config: c, env: env, timing: defaultTiming, stat: statx}
	t.timing.open = max(min(t.timing.open, agent.Descriptors()/8), 2)
	for _, p := range c.Paths {
		pat, err := newPattern(p)
		if err != nil {
			return nil, err
		}
		t.patterns = append(t.patterns, pat)
	}
	if c.ArchiveDir != "" {
		abs, err := filepath.Abs(c.ArchiveDir)
		if err != nil {
			return nil, fmt.Errorf("archive_dir: %w", err)
		}
		t.config.ArchiveDir = abs
	}
	return t, nil
}

// Run reads files until ctx ends. Only a log that is closed, or a named pipe that
// cannot be read, ends it otherwise.
func (t *Tail) Run(ctx context.Context, sink agent.Sink) error {
	r := newRun(t, sink)
	t.current.Store(r)
	defer t.current.Store(nil)
	return r.run(ctx)
}
