package http

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Probe checks the way to every endpoint, whether HTTP is spoken there, and with
// oauth2 whether a token can be had. More cannot be asked without sending an event.
func (o *Output) Probe(ctx context.Context, report func(agent.Step)) error {
	var errs []error
	for _, ep := range o.client.Endpoints() {
		err := ep.Probe(ctx, report)
		if err == nil {
			err = ep.ProbeRoot(ctx, report)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	start := time.Now()
	step := func(name, detail string, err error, fix string) error {
		report(agent.Step{Name: name, Detail: fmt.Sprintf("%s (%s)", detail, time.Since(start).Round(100*time.Microsecond)), Err: err, Fix: fix})
		return err
	}
	if o.tokens != nil {
		if _, err := o.tokens.get(ctx); err != nil {
			fix := "check auth: token_url, client_id, client_secret, scopes and client_auth"
			if httpx.IsTLS(err) {
				fix = httpx.TLSFix(err)
			}
			return step("auth", "no token", err, fix)
		}
		_ = step("auth", "the token server gave a token", nil, "")
	}
	return step("permission", "whether events may be sent shows with the first one", nil, "")
}
