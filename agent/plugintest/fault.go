package plugintest

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/adrian207/siemd/agent"
)

// FaultHelp explains fault specifications to people.
const FaultHelp = `a comma-separated list of KIND[:OPTION]...
  401 403 404 408 413 429 500 502 503 504 ...  this HTTP status, with the answer that the SIEM gives along with it
  hec=N         Splunk's code N
  item=STATUS   refuses single events; 400 and 413 the same ones every time
  refuse        no connections
  reset_before  cuts the connection, nothing taken
  reset_after   takes the data, then cuts the connection
  hang          takes nothing and never answers
  slow=D        waits D before it goes on
  html          200 with a login page
  huge          200 with an answer of 1 GiB
  short         cuts the answer in the middle
  expired       with TLS: a certificate that ended yesterday
  noack         Splunk: takes data that it never acknowledges
options:
  20%             strikes at random, in one of five cases
  n=5             only the first five times
  for=10s         only for so long
  over=100KB      only bodies larger than that
  match=TEXT      only bodies (item: events) that contain TEXT
  retry_after=2   with this Retry-After header
  taken           the data is taken all the same`

// A fault is one thing that a mock does wrong.
type fault struct {
	kind       string // "status", "hec", "item", or the word itself
	code       int    // of status, hec and item
	delay      time.Duration
	share      float64 // 0 to 1
	left       int     // how often it may still strike; -1: no limit
	until      time.Time
	over       int64
	match      []byte
	retryAfter string
	taken      bool
}

var faultWords = []string{"refuse", "reset_before", "reset_after", "hang", "slow", "html", "huge", "short", "expired", "noack", "hec", "item"}

// streamFaults are those that make sense where nobody answers.
var streamFaults = []string{"refuse", "reset_before", "reset_after", "hang", "slow", "expired"}

// parseFaults reads a specification; "", "off" and "none" are no faults.
func parseFaults(spec string, now time.Time) ([]*fault, error) {
	var fs []*fault
	for _, part := range strings.Split(spec, ",") {
		part = strings.TrimSpace(part)
		if part == "" || part == "off" || part == "none" {
			continue
		}
		f, err := parseFault(part, now)
		if err != nil {
			return nil, fmt.Errorf("fault %q: %w", part, err)
		}
		fs = append(fs, f)
	}
	return fs, nil
}

func parseFault(part string, now time.Time) (*fault, error) {
	words := strings.Split(part, ":")
	f := &fault{share: 1, left: -1}
	kind, value, valued := strings.Cut(words[0], "=")
	f.kind = kind
	if code, err := strconv.Atoi(kind); err == nil && !valued {
		if code < 300 || code > 599 {
			return nil, fmt.Errorf("%d is not a status from 300 to 599", code)
		}
		f.kind, f.code = "status", code
	} else if !slices.Contains(faultWords, kind) {
		if near := agent.Nearest(kind, faultWords); near != "" {
			return nil, fmt.Errorf("unknown kind %q; did you mean %q?", kind, near)
		}
		return nil, fmt.Errorf("unknown kind %q: want an HTTP status or one of %s", kind, strings.Join(faultWords, ", "))
	}
	var err error
	switch f.kind {
	case "hec":
		f.code, err = strconv.Atoi(value)
		if _, known := hecAnswers[f.code]; err != nil || !known {
			return nil, fmt.Errorf("%q is not one of Splunk's codes, 0 to 28", value)
		}
	case "item":
		if f.code, err = strconv.Atoi(value); err != nil || f.code < 400 || f.code > 599 {
			return nil, fmt.Errorf("%q is not a status from 400 to 599", value)
		}
	case "slow":
		if f.delay, err = time.ParseDuration(value); err != nil || f.delay < 0 {
			return nil, fmt.Errorf("%q is not a duration such as 50ms", value)
		}
	default:
		if valued {
			return nil, fmt.Errorf("%q takes no value", kind)
		}
	}
	for _, option := range words[1:] {
		if err := f.option(option, now); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fault) option(option string, now time.Time) error {
	key, value, valued := strings.Cut(option, "=")
	var err error
	switch {
	case strings.HasSuffix(option, "%") && !valued:
		var percent float64
		percent, err = strconv.ParseFloat(strings.TrimSuffix(option, "%"), 64)
		if err != nil || !(percent >= 0 && percent <= 100) {
			return fmt.Errorf("%q is not a share from 0%% to 100%%", option)
		}
		f.share = percent / 100
	case key == "n":
		if f.left, err = strconv.Atoi(value); err != nil || f.left < 1 {
			return fmt.Errorf("%q is not a number of times", value)
		}
	case key == "for":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration such as 10s", value)
		}
		f.until = now.Add(d)
	case key == "over":
		var b agent.Bytes
		if err := b.UnmarshalText([]byte(value)); err != nil {
			return err
		}
		f.over = int64(b)
	case key == "match" && value != "":
		f.match = []byte(value)
	case key == "retry_after" && value != "":
		f.retryAfter = value
	case option == "taken":
		f.taken = true
	default:
		words := []string{"20%", "n=", "for=", "over=", "match=", "retry_after=", "taken"}
		return fmt.Errorf("unknown option %q: want one of %s", option, strings.Join(words, ", "))
	}
	return nil
}

// faults are those in force.
type faults struct {
	mu     sync.Mutex // guards what follows
	list   []*fault
	struck int64
	clock  func() time.Time
}

func (fs *faults) set(list []*fault) {
	fs.mu.Lock()
	fs.list = list
	fs.mu.Unlock()
}

func (fs *faults) count() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.struck
}

// strike is the first fault other than slow that hits a body, and the sum of
// the delays. refuse, expired and item are asked for on their own.
func (fs *faults) strike(body []byte) (hit *fault, delay time.Duration) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		switch {
		case f.kind == "item" || f.kind == "refuse" || f.kind == "expired" || f.kind == "noack" || hit != nil && f.kind != "slow":
		case !fs.hitsLocked(f, body, rand.Float64()):
		case f.kind == "slow":
			delay += f.delay
		default:
			hit = f
		}
	}
	return hit, delay
}

// item is the status that a single event is refused with, or 0.
func (fs *faults) item(payload []byte) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.kind != "item" {
			continue
		}
		at := rand.Float64()
		if f.code == 400 || f.code == 413 {
			// An event that is wrong today is wrong tomorrow.
			at = float64(maphash.Bytes(itemSeed, payload)>>11) / (1 << 53)
		}
		if fs.hitsLocked(f, payload, at) {
			return f.code
		}
	}
	return 0
}

var itemSeed = maphash.MakeSeed()

// hasItem says whether single events are refused at all.
func (fs *faults) hasItem() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.ContainsFunc(fs.list, func(f *fault) bool { return f.kind == "item" })
}

// is says whether the fault of a kind that is asked for on its own strikes now.
func (fs *faults) is(kind string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.kind == kind && fs.hitsLocked(f, nil, rand.Float64()) {
			return true
		}
	}
	return false
}

// down says whether nothing may listen at all, and until when; zero means until further notice.
func (fs *faults) down() (bool, time.Time) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.kind == "refuse" && f.share == 1 && f.left < 0 && (f.until.IsZero() || fs.clock().Before(f.until)) {
			return true, f.until
		}
	}
	return false, time.Time{}
}

func (fs *faults) hitsLocked(f *fault, body []byte, at float64) bool {
	if f.left == 0 || at >= f.share || !f.until.IsZero() && fs.clock().After(f.until) ||
		f.over > 0 && int64(len(body)) <= f.over || f.match != nil && !bytes.Contains(body, f.match) {
		return false
	}
	if f.left > 0 {
		f.left--
	}
	fs.struck++
	return true
}
