package plugintest

import (
	"net/http"
	"strconv"
	"sync"
)

// acks are the ids given on each channel and not yet reported as true.
type acks struct {
	mu       sync.Mutex // guards channels
	channels map[string]*channel
}

type channel struct {
	next    int64
	pending map[int64]bool // true: will be acknowledged
}

// give is the next id of a channel. One that is never acknowledged is lost.
func (a *acks) give(id string, never bool) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.channels[id]
	if c == nil {
		c = &channel{pending: map[int64]bool{}}
		a.channels[id] = c
	}
	n := c.next
	c.next++
	c.pending[n] = !never
	return n
}

// report says whether an id is acknowledged, and forgets it if so.
func (a *acks) report(id string, n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.channels[id]
	if c == nil || !c.pending[n] {
		return false
	}
	delete(c.pending, n)
	return true
}

func (h *hec) pollAcks(req *http.Request, body []byte) reply {
	id := channelOf(req)
	switch {
	case !h.r.opts.Ack:
		return hecReply(14, -1, -1)
	case id == "":
		return hecReply(10, -1, -1)
	case !guid.MatchString(id):
		return hecReply(11, -1, -1)
	}
	obj, rest, err := nextValue(body)
	list := member(obj, "acks")
	if err != nil || skipSpace(rest, 0) != len(rest) || len(list) == 0 || list[0] != '[' {
		return hecReply(6, -1, -1)
	}
	b := []byte(`{"acks":{`)
	_, err = skipArray(list, 0, 0, func(item []byte) error {
		n, err := strconv.ParseInt(string(item), 10, 64)
		if err != nil {
			return err
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, '"'), n, 10)
		b = strconv.AppendBool(append(b, '"', ':'), h.acks.report(id, n))
		return nil
	})
	if err != nil {
		return hecReply(6, -1, -1)
	}
	return reply{status: http.StatusOK, body: append(b, '}', '}')}
}
