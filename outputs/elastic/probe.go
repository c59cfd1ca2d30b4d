package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Probe checks every endpoint: the way there, who answers, the credentials,
// and whether they may write the target. It writes nothing.
func (o *Output) Probe(ctx context.Context, report func(agent.Step)) error {
	var errs []error
	for _, ep := range o.client.Endpoints() {
		p := &probe{o: o, ep: ep, report: report}
		errs = append(errs, p.run(ctx))
	}
	return errors.Join(errs...)
}

type probe struct {
	o      *Output
	ep     *httpx.Endpoint
	report func(agent.Step)
	start  time.Time
}

func (p *probe) step(name, detail string, err error, fix string) error {
	p.report(agent.Step{Name: name, Detail: fmt.Sprintf("%s (%s)", detail, time.Since(p.start).Round(100*time.Microsecond)), Err: err, Fix: fix})
	p.start = time.Now()
	return err
}

func (p *probe) run(ctx context.Context) error {
	if err := p.ep.Probe(ctx, p.report); err != nil {
		return err
	}
	p.start = time.Now()
	product, err := p.auth(ctx)
	if err != nil {
		return err
	}
	return p.permission(ctx, product)
}

const (
	fixCredentials = "check username and password, or api_key"
	fixPermission  = "give the user or key the privileges create_doc (op: index needs index) and auto_configure on the target"
)

// auth asks who is there; in a secured cluster only a known user is told.
func (p *probe) auth(ctx context.Context) (product string, err error) {
	resp, err := p.o.client.Do(ctx, &httpx.Request{Method: http.MethodGet, Path: "/", Endpoint: p.ep})
	if err != nil {
		fix := "check that the receiver, and any proxy in between, speaks HTTP here"
		if httpx.IsTLS(err) {
			fix = httpx.TLSFix(err)
		}
		return "", p.step("auth", "no answer", err, fix)
	}
	defer resp.Release()
	resp.Clock(time.Now(), p.report)
	switch resp.Status {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return "", p.step("auth", "the credentials are refused", agent.Blocked(resp.Answer()), fixCredentials)
	case http.StatusForbidden:
		return "", p.step("auth", "accepted; the user may not ask for the version", nil, "")
	default:
		return "", p.step("auth", "unexpected answer", resp.Answer(), "check the port and path: the REST interface listens on 9200 unless configured otherwise")
	}
	var root struct {
		Version struct {
			Number       string `json:"number"`
			Distribution string `json:"distribution"`
		} `json:"version"`
	}
	if json.Unmarshal(resp.Body, &root) != nil || root.Version.Number == "" {
		return "", p.step("auth", "neither Elasticsearch nor OpenSearch", resp.Odd("no version in the answer"), "check the endpoint: a proxy or Kibana may answer there (Kibana listens on 5601)")
	}
	product = "Elasticsearch"
	if root.Version.Distribution == "opensearch" {
		product = "OpenSearch"
	}
	return product, p.step("auth", p.o.client.Mask().Answer([]byte(product+" "+root.Version.Number), false), nil, "")
}

// permission asks for the privileges on the target of a sample event. Where
// that cannot be asked, an empty request shows at least whether bulk is allowed.
func (p *probe) permission(ctx context.Context, product string) error {
	target := p.o.sample()
	if product == "Elasticsearch" {
		privilege := "create_doc"
		if p.o.config.Op == "index" {
			privilege = "index"
		}
		body, err := json.Marshal(map[string]any{"index": []any{map[string]any{"names": []string{target}, "privileges": []string{privilege}}}})
		if err != nil {
			return err
		}
		resp, err := p.o.client.Do(ctx, &httpx.Request{
			Path: "/_security/user/_has_privileges", Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Endpoint: p.ep,
		})
		if err != nil {
			return p.step("permission", "no answer", err, "try again")
		}
		defer resp.Release()
		var answer struct {
			All *bool `json:"has_all_requested"`
		}
		if resp.Status == http.StatusOK && json.Unmarshal(resp.Body, &answer) == nil && answer.All != nil {
			if *answer.All {
				return p.step("permission", "may write "+target, nil, "")
			}
			return p.step("permission", "may not write "+target, agent.Blocked(fmt.Errorf("the privilege %s on %s is missing", privilege, target)), fixPermission)
		}
	}
	resp, err := p.o.client.Do(ctx, &httpx.Request{Path: bulkPath, Endpoint: p.ep})
	if err != nil {
		return p.step("permission", "no answer", err, "try again")
	}
	defer resp.Release()
	switch resp.Status {
	case http.StatusUnauthorized:
		return p.step("permission", "the credentials are refused", agent.Blocked(resp.Answer()), fixCredentials)
	case http.StatusForbidden:
		return p.step("permission", "bulk requests are not allowed", agent.Blocked(resp.Answer()), fixPermission)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return p.step("permission", "there is no bulk interface", resp.Answer(), "check the path of the endpoint")
	}
	return p.step("permission", "bulk requests are allowed; whether "+target+" may be written shows with the first event", nil, "")
}

// sample is where an event of today would go.
func (o *Output) sample() string {
	now := time.Now().UnixNano()
	wire, err := o.codec.Encode(nil, &agent.Event{Time: now, Received: now, Type: []byte("alert"), Source: []byte("sample"), Input: "sample", ID: []byte("sample"), Body: []byte("{}")})
	if err != nil {
		return o.target
	}
	var action map[string]struct {
		Index string `json:"_index"`
	}
	for i, c := range wire {
		if c == '\n' {
			wire = wire[:i]
			break
		}
	}
	if json.Unmarshal(wire, &action) != nil {
		return o.target
	}
	for _, a := range action {
		return a.Index
	}
	return o.target
}
