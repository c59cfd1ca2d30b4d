package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// probeEvent is the marked event.
func probeEvent(kind, severity string) map[string]any {
	return map[string]any{
		"event_type": kind, "severity": severity, "title": "siemd test",
		"description": "a test event of siemd: ignore it", "siemd_test": true, "timestamp": time.Now().UTC().Format(time.RFC3339Nano),
	}
}

// passing is the type and the severity of a marked event that the connection's filter takes: telemetry, if it may be.
func (c *testCommand) passing(ctx context.Context, name string) (kind, severity string, err error) {
	var conn struct {
		Types    []string `json:"enabled_event_types"`
		Severity *string  `json:"min_severity"`
	}
	if err := c.do(ctx, http.MethodGet, "/connections/"+url.PathEscape(name), nil, nil, &conn); err != nil {
		return "", "", err
	}
	kind, severity = "telemetry", "informational"
	if len(conn.Types) > 0 && !slices.Contains(conn.Types, "*") && !slices.Contains(conn.Types, kind) {
		kind = conn.Types[0]
	}
	if conn.Severity != nil {
		severity = *conn.Severity
	}
	return kind, severity, nil
}

// sendProbe has the agent deliver the marked event to this connection alone.
func (c *testCommand) sendProbe(ctx context.Context, name string, report func(probeStep)) error {
	var a struct {
		EventID string            `json:"event_id"`
		Results map[string]bool   `json:"results"`
		Details map[string]string `json:"details"`
	}
	kind, severity, err := c.passing(ctx, name)
	if err != nil {
		return err
	}
	began := time.Now()
	wait := 5 * time.Second
	if t, ok := ctx.Deadline(); ok {
		wait = max(time.Second, min(time.Minute, time.Until(t)-answerTime))
	}
	in := map[string]any{"event_type": kind, "event_source": "siemd", "event_data": probeEvent(kind, severity), "connections": []string{name}}
	err = c.do(ctx, http.MethodPost, "/export", url.Values{"wait": {agent.Duration(wait.Round(time.Second)).String()}}, in, &a)
	if err != nil {
		return err
	}
	s := probeStep{Name: "event", OK: a.Results[name], Detail: a.EventID, Took: time.Since(began).Seconds()}
	if !s.OK {
		s.Error, s.Fix = a.Details[name], c.hint(ctx, name)
	}
	report(s)
	return nil
}

// hint is what the agent knows that a person can do about the connection's last error.
func (c *testCommand) hint(ctx context.Context, name string) string {
	var h struct {
		Connections map[string]struct {
			Hint *string `json:"hint"`
		} `json:"connections"`
	}
	if err := c.do(ctx, http.MethodGet, "/health", nil, nil, &h); err == nil {
		if hint := h.Connections[name].Hint; hint != nil {
			return *hint
		}
	}
	return "'siemd status' and 'siemd failed ls --connection " + name + "' say more"
}

// writeProbe sends the marked event with an output of our own.
func writeProbe(ctx context.Context, cfg *config.Config, out agent.Output) error {
	body, err := json.Marshal(probeEvent("telemetry", "informational"))
	if err != nil {
		return err
	}
	x := explainer{cfg: cfg}
	e, err := x.prepare(body)
	if err != nil {
		return err
	}
	if enc, ok := out.(agent.Encoder); ok {
		if e.Wire, err = enc.Encode(nil, e); err != nil {
			return err
		}
	}
	err = out.Write(ctx, []agent.Event{*e})
	var partial *agent.PartialError
	if errors.As(err, &partial) && len(partial.Failed) > 0 {
		return partial.Failed[0].Err
	}
	return err
}
