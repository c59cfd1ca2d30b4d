package api

import (
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
	"github.com/adrian207/siemd/agent/internal/delivery"
	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// connectionObject is a connection under the names that scripts know.
type connectionObject struct {
	ConnectionID string `json:"connection_id" doc:"The id: of one from a config file its name there."`
	connectionFields
	HealthStatus      delivery.Status `json:"health_status" doc:"healthy, degraded, failed or unknown."`
	LastHealthCheck   *time.Time      `json:"last_health_check" doc:"When something was learned about it last."`
	LastSuccess       *time.Time      `json:"last_successful_export" doc:"When events were taken last."`
	LastError         *string         `json:"last_error" doc:"What failed last."`
	TotalEventsSent   uint64          `json:"total_events_sent" doc:"Across restarts."`
	TotalEventsFailed uint64          `json:"total_events_failed" doc:"In the store of failed events now."`
	CreatedAt         *time.Time      `json:"created_at" doc:"When it was made; null for one from a config file."`
	UpdatedAt         *time.Time      `json:"updated_at" doc:"When it was changed last; null for one from a config file."`
	ManagedBy         string          `json:"managed_by" doc:"api, or file: then it cannot be changed here."`
}

// connectionFields are those that can be set.
type connectionFields struct {
	Name            string            `json:"name" doc:"For people."`
	SIEMType        string            `json:"siem_type" doc:"splunk, elastic, syslog, cef, leef, qradar (leef) or http."`
	Endpoint        string            `json:"endpoint" doc:"Host, host:port or URL."`
	Port            *int              `json:"port" doc:"Default 8088 for splunk, 9200 for elastic, 514 for syslog, with TLS 6514."`
	UseSSL          bool              `json:"use_ssl" doc:"https, or syslog over TLS."`
	VerifySSL       bool              `json:"verify_ssl" doc:"The SIEM's certificate must be valid."`
	AuthType        string            `json:"auth_type" doc:"token, basic, apikey or none; for syslog, cef and leef the transport: udp, tcp or tls."`
	AuthToken       *string           `json:"auth_token" doc:"HEC token, API key or bearer token. Shows as ***."`
	Username        *string           `json:"username" doc:"Of basic."`
	Password        *string           `json:"password" doc:"Of basic. Shows as ***."`
	IndexName       *string           `json:"index_name" doc:"Index of splunk and elastic."`
	SourceType      *string           `json:"source_type" doc:"Sourcetype of splunk."`
	Facility        *string           `json:"facility" doc:"Syslog facility."`
	SeverityMapping map[string]string `json:"severity_mapping" doc:"Severities that this connection sees as another one."`
	EventTypes      []string          `json:"enabled_event_types" doc:"Event types that it gets; * for all."`
	MinSeverity     *string           `json:"min_severity" doc:"The least severity that it gets."`
	BatchSize       int               `json:"batch_size" doc:"Most events in a request."`
	BatchInterval   float64           `json:"batch_interval_seconds" doc:"How long an event may wait for others."`
	MaxRetries      int               `json:"max_retries" doc:"Answers that blame an event without saying why before it counts as failed; outages never count."`
	RetryDelay      float64           `json:"retry_delay_seconds" doc:"The longest first wait after a failure."`
	Enabled         bool              `json:"enabled" doc:"It runs. A disabled one keeps its place in the log."`
	Options         map[string]any    `json:"options" doc:"Any other key of the output, as in the config file."`
}

var connectionRoutes = []route{
	{
		method: "GET", path: prefix + "/connections", scope: scopeRead, brief: "All connections.", answer: []connectionObject{},
		query: []parameter{{"enabled_only", "boolean", "Leave out those that are disabled."}}, serve: (*Server).listConnections,
	},
	{
		method: "POST", path: prefix + "/connections", scope: scopeWrite, brief: "Make a connection.", body: connectionFields{}, required: []string{"name", "siem_type", "endpoint", "enabled_event_types"}, answer: connectionObject{},
		created: true, keyed: true, status: []int{409, 422}, serve: (*Server).createConnection,
	},
	{
		method: "GET", path: prefix + "/connections/{id}", scope: scopeRead, brief: "One connection.", answer: connectionObject{}, status: []int{404},
		serve: (*Server).getConnection,
	},
	{
		method: "PUT", path: prefix + "/connections/{id}", scope: scopeWrite, brief: "Change any fields of a connection; *** keeps a secret.", body: connectionFields{},
		answer: connectionObject{}, status: []int{404, 409, 412, 422}, serve: (*Server).updateConnection,
	},
	{
		method: "DELETE", path: prefix + "/connections/{id}", scope: scopeWrite, brief: "Remove a connection. Its failed events stay until they are purged.", answer: deleteAnswer{},
		query: []parameter{{"force", "boolean", "Also if events wait for it: they are given up."}}, status: []int{404, 409, 412}, serve: (*Server).deleteConnection,
	},
}

func (s *Server) listConnections(c *call) error {
	enabled, err := c.flag("enabled_only")
	if err != nil {
		return err
	}
	list := []connectionObject{}
	for _, conn := range s.agent.Connections() {
		if conn.Config.Common.Enabled || !enabled {
			list = append(list, objectOf(conn))
		}
	}
	return c.json(http.StatusOK, list)
}

func (s *Server) getConnection(c *call) error {
	conn, err := s.connection(c)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(conn.Config))
	return c.json(http.StatusOK, objectOf(conn))
}

// connection is the one that the path names.
func (s *Server) connection(c *call) (supervisor.Connection, error) {
	conn, ok := s.agent.Connection(c.PathValue("id"))
	if !ok {
		return conn, supervisor.ErrUnknownConnection
	}
	return conn, nil
}

func objectOf(c supervisor.Connection) connectionObject {
	o := connectionObject{
		ConnectionID: c.Config.Name, connectionFields: fieldsOf(c.Config),
		HealthStatus: c.Health.Status, LastHealthCheck: moment(c.Checked), LastSuccess: moment(c.Health.LastSuccess),
		LastError: text(c.Health.LastError), TotalEventsSent: c.Counts.Sent, TotalEventsFailed: c.Failed, ManagedBy: "file",
	}
	if m := c.Config.Managed; m != nil {
		o.ManagedBy, o.CreatedAt, o.UpdatedAt = "api", moment(m.CreatedAt), moment(m.UpdatedAt)
	}
	return o
}

// etag changes with every change of the config, not with health and counts.
func etag(o *config.Output) string {
	if o.Managed != nil {
		return `"` + o.Managed.Version + `"`
	}
	return `"` + o.Hash + `"`
}

const hidden = "***"

// shown are the output keys that have a field of their own in the object.
var shown = map[string]bool{
	"endpoint": true, "enabled": true, "filter.event_types": true, "filter.min_severity": true, "batch.max_events": true,
	"batch.max_wait": true, "retry.max_attempts": true, "retry.initial": true, "tls.verify": true, "token": true,
	"api_key": true, "username": true, "password": true, "index": true, "sourcetype": true, "facility": true, "transport": true,
	"auth.type": true, "auth.token": true, "auth.username": true, "auth.password": true,
}

// fieldsOf tells a config in the names of the API.
func fieldsOf(o *config.Output) connectionFields {
	k, common := o.Config, o.Common
	f := connectionFields{
		Name: o.Name, SIEMType: siemType(o), VerifySSL: true, AuthType: "none",
		EventTypes: common.Filter.EventTypes, BatchSize: common.Batch.MaxEvents, BatchInterval: common.Batch.MaxWait.D().Seconds(),
		MaxRetries: common.Retry.MaxAttempts, RetryDelay: common.Retry.Initial.D().Seconds(), Enabled: common.Enabled,
		IndexName: text(textOf(k, "index")), SourceType: text(textOf(k, "sourcetype")), Facility: text(textOf(k, "facility")),
		SeverityMapping: map[string]string{},
	}
	if len(f.EventTypes) == 0 {
		f.EventTypes = []string{"*"}
	}
	if common.Filter.MinSeverity != agent.Unset {
		f.MinSeverity = text(common.Filter.MinSeverity.String())
	}
	if v, ok := lookup(reflect.ValueOf(k), "tls.verify"); ok && v.Kind() == reflect.Bool {
		f.VerifySSL = v.Bool()
	}
	f.Endpoint, f.Port, f.UseSSL = place(o)
	if m := o.Managed; m != nil {
		f.Name = m.Name
		if len(m.SeverityMapping) > 0 {
			f.SeverityMapping = m.SeverityMapping
		}
		if sameHost(m.Endpoint, f.Endpoint) {
			f.Endpoint = m.Endpoint
		}
	}
	f.authOf(k)
	f.Options = differences(reflect.ValueOf(k).Elem(), reflect.ValueOf(o.Spec.Config()).Elem(), "", shown)
	for key, v := range differences(reflect.ValueOf(common), reflect.ValueOf(delivery.DefaultConfig()), "", shown) {
		f.Options[key] = v
	}
	return f
}

// authOf tells how the output shows who it is. Secrets show as "***".
func (f *connectionFields) authOf(k any) {
	secret := func(path string) *string {
		if isSet(k, path) {
			return text(hidden)
		}
		return nil
	}
	switch transport := textOf(k, "transport"); {
	case transport != "":
		f.AuthType = transport
	case isSet(k, "api_key"):
		f.AuthType, f.AuthToken = "apikey", secret("api_key")
	case isSet(k, "token"):
		f.AuthType, f.AuthToken = "token", secret("token")
	case isSet(k, "username"):
		f.AuthType, f.Username, f.Password = "basic", text(textOf(k, "username")), secret("password")
	}
	switch kind := textOf(k, "auth.type"); kind {
	case "basic":
		f.AuthType, f.Username, f.Password = kind, text(textOf(k, "auth.username")), secret("auth.password")
	case "bearer":
		f.AuthType, f.AuthToken = "token", secret("auth.token")
	case "oauth2":
		f.AuthType = kind
	}
}

func siemType(o *config.Output) string {
	if o.Managed != nil && kinds[o.Managed.SIEMType] == o.Kind {
		return o.Managed.SIEMType
	}
	return o.Kind
}

// place is where an output sends to: the first endpoint, its port, and whether it is encrypted.
func place(o *config.Output) (endpoint string, port *int, ssl bool) {
	all := endpoints(o)
	if len(all) == 0 {
		return textOf(o.Config, "path"), nil, false
	}
	number := func(text string) *int {
		if n, err := strconv.Atoi(text); err == nil {
			return &n
		}
		return nil
	}
	if transport := textOf(o.Config, "transport"); transport != "" {
		ssl = transport == "tls"
		_, p, err := net.SplitHostPort(all[0])
		if err != nil {
			p = strconv.Itoa(defaultPort("syslog", ssl))
		}
		return strings.Join(all, ", "), number(p), ssl
	}
	for i, e := range all {
		u, err := url.Parse(e)
		if err != nil {
			continue
		}
		if i == 0 {
			ssl = u.Scheme == "https"
			p := u.Port()
			if p == "" {
				p = strconv.Itoa(usualPort("http", ssl))
			}
			port = number(p)
		}
		u.RawQuery = "" // keys of functions stand there
		all[i] = u.String()
	}
	return strings.Join(all, ", "), port, ssl
}

// endpoints is a copy of the endpoints of a config.
func endpoints(o *config.Output) []string {
	v, ok := lookup(reflect.ValueOf(o.Config), "endpoint")
	switch {
	case !ok:
		return nil
	case v.Kind() == reflect.String:
		return []string{v.String()}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		list := make([]string, v.Len())
		for i := range list {
			list[i] = v.Index(i).String()
		}
		return list
	}
	return nil
}

// defaultPort is that of contract 6; 0: the scheme's.
func defaultPort(kind string, ssl bool) int {
	switch kind {
	case "splunk":
		return 8088
	case "elastic":
		return 9200
	case "syslog", "cef", "leef":
		if ssl {
			return 6514
		}
		return 514
	}
	return 0
}

// usualPort is defaultPort, or the scheme's.
func usualPort(kind string, ssl bool) int {
	if p := defaultPort(kind, ssl); p != 0 {
		return p
	}
	return map[bool]int{true: 443, false: 80}[ssl]
}
