package http

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of the ids that are given and not yet asked for.
const (
	maxChannels = 10_000
	maxPending  = 10_000           // of one channel
	channelIdle = 10 * time.Minute // a channel that nobody uses is forgotten
)

// acks are the ids that HEC clients ask for. An event is on disk before its id
// is given, so that every id that is known is acknowledged, once.
type acks struct {
	now func() time.Time

	mu       sync.Mutex // guards channels
	channels map[string]*channel
}

type channel struct {
	next    int64
	pending map[int64]struct{}
	used    time.Time
}

func newAcks() *acks { return &acks{now: time.Now, channels: map[string]*channel{}} }

// room reports whether the channel can be given another id.
func (a *acks) room(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.channels[id]; c != nil {
		return len(c.pending) < maxPending
	}
	if len(a.channels) >= maxChannels {
		for id, c := range a.channels {
			if a.now().Sub(c.used) > channelIdle {
				delete(a.channels, id)
			}
		}
	}
	return len(a.channels) < maxChannels
}

func (a *acks) give(id string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.channels[id]
	if c == nil {
		c = &channel{pending: map[int64]struct{}{}}
		a.channels[id] = c
	}
	n := c.next
	c.next++
	c.pending[n] = struct{}{}
	c.used = a.now()
	return n
}

// report says true for an id once, and false for any other.
func (a *acks) report(id string, n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.channels[id]
	if c == nil {
		return false
	}
	c.used = a.now()
	_, ok := c.pending[n]
	delete(c.pending, n)
	return ok
}

// serveAck answers a poll.
func (in *Input) serveAck(rw *answer, body []byte, channel string) {
	if channel == "" {
		hecSay(rw, 10, -1, -1)
		return
	}
	if !in.config.HECAck {
		hecSay(rw, 14, -1, -1)
		return
	}
	var poll struct {
		Acks []int64 `json:"acks"`
	}
	if json.Unmarshal(body, &poll) != nil {
		hecSay(rw, 6, -1, -1)
		return
	}
	b := []byte(`{"acks":{`)
	for i, n := range poll.Acks {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, '"'), n, 10)
		b = strconv.AppendBool(append(b, `":`...), in.acks.report(channel, n))
	}
	rw.json(http.StatusOK, append(b, '}', '}'))
}

// isGUID: 8-4-4-4-12 hex digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && !isHex(c) {
			return false
		}
	}
	return true
}
