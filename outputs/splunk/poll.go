package splunk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

const (
	pollTimeout = 10 * time.Second
	pollIDs     = 5000 // in one request
)

// poll asks for the acknowledgements of a channel until none is pending.
func (a *acks) poll(ctx context.Context, ch *channel) {
	wait, failing := a.pace.first, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		ids := a.due(ch)
		if ids == nil {
			return
		}
		asking, cancel := context.WithTimeout(ctx, pollTimeout)
		got, err := a.ask(asking, ch, ids)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNoUseACK):
			a.giveUp(ch)
			return
		case err != nil && !failing:
			failing = true
			a.log.Warn("acknowledgements cannot be asked for", "endpoint", ch.endpoint, "err", err)
		case err == nil && failing:
			failing = false
			a.log.Info("acknowledgements can be asked for again", "endpoint", ch.endpoint)
		}
		if a.acknowledge(ch, got) > 0 {
			wait = a.pace.first
		} else {
			wait = min(wait*3/2, a.pace.longest)
		}
	}
}

// due lists the pending ids, after it has given up on those that are too old.
// With none left it is nil, and the next expect starts another poller.
func (a *acks) due(ch *channel) []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []int64
	for id, p := range ch.pending {
		switch {
		case time.Since(p.posted) > a.pace.giveUp:
			a.settleLocked(p, errGivenUp, false)
			delete(ch.pending, id)
		case len(ids) < pollIDs:
			ids = append(ids, id)
		}
	}
	ch.polling = len(ids) > 0
	return ids
}

// acknowledge settles what Splunk said true to. It says so only once.
func (a *acks) acknowledge(ch *channel, ids []int64) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if p := ch.pending[id]; p != nil {
			a.latency.Update(time.Since(p.posted).Seconds())
			a.settleLocked(p, p.result, false)
			delete(ch.pending, id)
			n++
		}
	}
	return n
}

// giveUp settles everything that is pending on ch, now that the token
// acknowledges nothing: it was received, and Write says once what is wrong.
func (a *acks) giveUp(ch *channel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, p := range ch.pending {
		a.settleLocked(p, p.result, true)
		delete(ch.pending, id)
	}
	a.disabled, ch.polling = ch, false
}

// ask makes one request and returns the ids that are acknowledged. It wraps
// errNoUseACK if the token acknowledges nothing.
func (a *acks) ask(ctx context.Context, ch *channel, ids []int64) ([]int64, error) {
	body := append([]byte(nil), `{"acks":[`...)
	for i, id := range ids {
		if i > 0 {
			body = append(body, ',')
		}
		body = strconv.AppendInt(body, id, 10)
	}
	body = append(body, "]}"...)
	path := ackPath + "?channel=" + ch.header.Get(channelHeader)
	resp, err := a.client.Do(ctx, &httpx.Request{Path: path, Header: ch.header, Body: body, Endpoint: ch.endpoint})
	if err != nil {
		return nil, err
	}
	defer resp.Release()
	if code := parse(resp.Body).Code; resp.Status == http.StatusBadRequest && code != nil && *code == 14 {
		return nil, agent.Blocked(errNoUseACK)
	}
	if err := resp.Err(); err != nil {
		return nil, err
	}
	done, ok := acknowledged(resp.Body)
	if !ok {
		return nil, resp.Odd("not an answer about acknowledgements")
	}
	return done, nil
}

// acknowledged lists the ids that body says true to.
func acknowledged(body []byte) (ids []int64, ok bool) {
	var answer struct {
		Acks map[string]any `json:"acks"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Acks == nil {
		return nil, false
	}
	for key, value := range answer.Acks {
		id, err := strconv.ParseInt(key, 10, 64)
		if err == nil && value == true {
			ids = append(ids, id)
		}
	}
	return ids, true
}
