package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/httpx"
)

// Setup writes an index template with mappings of the Elastic Common Schema
// and, on Elasticsearch, the ILM policy that it names. Events never depend on
// it; it is done only when a person asks. Running it again is harmless.
func (o *Output) Setup(ctx context.Context, report func(agent.Step)) error {
	eps := o.client.Endpoints()
	p := &probe{o: o, ep: eps[0], report: report}
	if err := p.ep.Probe(ctx, report); err != nil {
		return err
	}
	p.start = time.Now()
	product, err := p.auth(ctx)
	if err != nil {
		return err
	}
	name, policy := o.templateName(), ""
	if product == "Elasticsearch" {
		policy = name
		if err := p.put(ctx, "policy", "/_ilm/policy/"+policy, ilmPolicy()); err != nil {
			return err
		}
	}
	return p.put(ctx, "template", "/_index_template/"+name, o.template(policy, product))
}

func (p *probe) put(ctx context.Context, step, path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := p.o.client.Do(ctx, &httpx.Request{
		Method: http.MethodPut, Path: path, Header: http.Header{"Content-Type": {"application/json"}}, Body: data, Endpoint: p.ep,
	})
	if err != nil {
		return p.step(step, "no answer", err, "try again")
	}
	defer resp.Release()
	if resp.Status/100 != 2 {
		return p.step(step, "PUT "+path+" was refused", resp.Answer(), "use an account with the privileges manage_index_templates and manage_ilm, once")
	}
	return p.step(step, "PUT "+path, nil, "")
}

// templateName is the fixed beginning of the target, without what would not stand at a name's end.
func (o *Output) templateName() string {
	fixed, _, _ := strings.Cut(o.target, "{")
	fixed, _, _ = strings.Cut(fixed, "%")
	if name := strings.Trim(fixed, "-._"); name != "" {
		return name
	}
	return "siemd"
}

// pattern matches every index that the target can name.
func (o *Output) pattern() string {
	cut := strings.IndexAny(o.target, "{%")
	if cut < 0 {
		return o.target + "*"
	}
	return o.target[:cut] + "*"
}

func (o *Output) template(policy, product string) map[string]any {
	settings := map[string]any{"index.mapping.total_fields.limit": 2000}
	if policy != "" {
		settings["index.lifecycle.name"] = policy
	}
	patterns := []string{o.pattern()}
	if other := o.config.otherwise(agent.Identity{App: o.config.app}); other != "" && !strings.HasPrefix(other, strings.TrimSuffix(patterns[0], "*")) {
		patterns = append(patterns, other)
	}
	body := map[string]any{
		"index_patterns": patterns,
		"priority":       200,
		"template":       map[string]any{"settings": settings, "mappings": o.mappings(product)},
		"_meta":          map[string]any{"managed_by": "siemd"},
	}
	if o.config.isStream() {
		body["data_stream"] = map[string]any{}
	}
	return body
}

// mappings are those of the fields that the codec writes. The event below the
// application's name may have any shape, so it is not mapped field by field.
func (o *Output) mappings(product string) map[string]any {
	keyword := map[string]any{"type": "keyword", "ignore_above": 1024}
	props := func(p map[string]any) map[string]any { return map[string]any{"properties": p} }
	original := map[string]any{"type": "flattened", "ignore_above": 1024}
	if product != "Elasticsearch" {
		original = map[string]any{"type": "object", "enabled": false}
	}
	if o.config.Schema == "raw" {
		return map[string]any{"properties": map[string]any{"@timestamp": map[string]any{"type": "date"}}}
	}
	named := props(map[string]any{"id": keyword, "name": keyword, "reference": keyword})
	return props(map[string]any{
		"@timestamp": map[string]any{"type": "date"},
		"ecs":        props(map[string]any{"version": keyword}),
		"message":    map[string]any{"type": "text"},
		"tags":       keyword,
		"event": props(map[string]any{
			"id": keyword, "kind": keyword, "category": keyword, "type": keyword, "outcome": keyword, "module": keyword, "dataset": keyword,
			"severity": map[string]any{"type": "long"}, "risk_score": map[string]any{"type": "float"},
		}),
		"host": props(map[string]any{
			"id": keyword, "name": keyword,
			"risk": props(map[string]any{"calculated_level": keyword, "calculated_score": map[string]any{"type": "float"}}),
		}),
		"rule": props(map[string]any{"name": keyword, "category": keyword}),
		"threat": props(map[string]any{
			"framework": keyword, "tactic": named,
			"technique": props(map[string]any{"id": keyword, "name": keyword, "reference": keyword, "subtechnique": named}),
		}),
		"related":    props(map[string]any{"hosts": keyword, "ip": keyword, "user": keyword}),
		o.config.app: original,
	})
}

// ilmPolicy rolls over by size and age and deletes after 90 days: a beginning for a person to change.
func ilmPolicy() map[string]any {
	return map[string]any{"policy": map[string]any{"phases": map[string]any{
		"hot":    map[string]any{"actions": map[string]any{"rollover": map[string]any{"max_primary_shard_size": "50gb", "max_age": "30d"}}},
		"delete": map[string]any{"min_age": "90d", "actions": map[string]any{"delete": map[string]any{}}},
	}}}
}

// cloudEndpoint is the URL that an Elastic Cloud id stands for: "name:" and the
// base64 of "domain$elasticsearch$kibana", where the domain may have a port.
func cloudEndpoint(id string) (string, error) {
	_, encoded, ok := strings.Cut(id, ":")
	if !ok {
		return "", fmt.Errorf("%q is no cloud id", id)
	}
	data, err := decodeBase64(encoded)
	if err != nil {
		return "", fmt.Errorf("%q is no cloud id: what follows the colon is not base64", id)
	}
	parts := strings.Split(string(data), "$")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", fmt.Errorf("%q is no cloud id: it names no Elasticsearch", id)
	}
	host, port, ok := strings.Cut(parts[0], ":")
	if !ok {
		port = "443"
	}
	es, esPort, ok := strings.Cut(parts[1], ":")
	if ok {
		port = esPort
	}
	return "https://" + es + "." + host + ":" + port, nil
}
