package splunk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Probe checks every endpoint: the way there, HEC's health, and the token, with
// an empty request that Splunk refuses only after it has accepted the token.
// No event is sent, so whether the token may write the index is not known.
func (o *Output) Probe(ctx context.Context, report func(agent.Step)) error {
	var errs []error
	for _, ep := range o.client.Endpoints() {
		errs = append(errs, o.probe(ctx, ep, report))
	}
	return errors.Join(errs...)
}

func (o *Output) probe(ctx context.Context, ep *httpx.Endpoint, report func(agent.Step)) error {
	if err := ep.Probe(ctx, report); err != nil {
		return err
	}
	start := time.Now()
	step := func(name, detail string, err error, fix string) error {
		report(agent.Step{Name: name, Detail: fmt.Sprintf("%s (%s)", detail, time.Since(start).Round(100*time.Microsecond)), Err: err, Fix: fix})
		start = time.Now()
		return err
	}

	resp, err := o.client.Do(ctx, &httpx.Request{Method: http.MethodGet, Path: healthPath, Endpoint: ep})
	if err != nil {
		return step("health", "no answer", err, fixOf(err))
	}
	defer resp.Release()
	code := parse(resp.Body).Code
	switch {
	case code == nil || resp.Status == http.StatusNotFound:
		// Receivers that only speak HEC's protocol may have no health page; the next step decides.
		_ = step("health", fmt.Sprintf("status %d, and no word about health", resp.Status), nil, "")
	case resp.Status == http.StatusServiceUnavailable:
		_ = step("health", "Splunk is up and overloaded", resp.Answer(), "wait, or add indexers: events are held and sent later")
	default:
		_ = step("health", "HEC answers", nil, "")
	}
	resp.Clock(time.Now(), report)

	var header http.Header
	if o.acks != nil {
		header = o.acks.headerOf(ep)
	}
	auth, err := o.client.Do(ctx, &httpx.Request{Path: eventPath, Header: header, Endpoint: ep})
	if err != nil {
		return step("auth", "no answer", err, fixOf(err))
	}
	defer auth.Release()
	code = parse(auth.Body).Code
	switch {
	case auth.Status == http.StatusBadRequest && code != nil && *code == 5, auth.Status == http.StatusOK:
		_ = step("auth", "the token is accepted", nil, "")
	case code != nil && *code == 1:
		return step("auth", "the token is disabled", agent.Blocked(auth.Answer()), fixEnable)
	case code != nil && (*code == 10 || *code == 11 || *code == 28):
		return step("auth", "the token wants a channel", agent.Blocked(auth.Answer()), fixChannel)
	case auth.Status == http.StatusUnauthorized || auth.Status == http.StatusForbidden:
		return step("auth", "the token is refused", agent.Blocked(auth.Answer()), fixToken)
	default:
		return step("auth", "not an answer of Splunk's HTTP Event Collector", auth.Answer(),
			"check the port (HEC listens on 8088, the web interface on 8000, management on 8089), that HEC is enabled, and that no proxy answers in its place")
	}

	if o.acks != nil {
		if _, err := o.acks.ask(ctx, o.acks.channels[ep], []int64{unusedID}); err != nil {
			return step("ack", "no acknowledgements", err, fixUseACK)
		}
		_ = step("ack", "acknowledgements can be asked for", nil, "")
	}
	detail := "the token's default index is used"
	if o.config.Index != "" {
		detail = "whether the token may write " + o.config.Index + " shows with the first event"
	}
	return step("permission", detail, nil, "")
}

func fixOf(err error) string {
	if httpx.IsTLS(err) {
		return httpx.TLSFix(err)
	}
	return "check that the receiver, and any proxy in between, speaks HTTP here"
}
