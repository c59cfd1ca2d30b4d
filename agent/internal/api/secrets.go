package api

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/internal/config"
)

// identify sets how the connection shows who it is.
func (d *draft) identify() {
	f, w := &d.w.fields, d.w
	if d.stream {
		for _, name := range []string{"auth_token", "username", "password"} {
			if w.has(name) {
				d.bad("/"+name, "leave it out", "%s has no credentials", f.SIEMType)
			}
		}
		return
	}
	kind := f.AuthType
	type credential struct {
		name  string
		value *string
		key   string
	}
	var takes []credential
	token := credential{"auth_token", f.AuthToken, "token"}
	user, password := credential{"username", f.Username, "username"}, credential{"password", f.Password, "password"}
	fits := map[string]string{"splunk": "token", "elastic": "basic, apikey or none", "http": "token, basic, oauth2 or none"}[d.kind]
	switch d.kind + " " + kind {
	case "splunk token":
		takes = []credential{token}
	case "elastic apikey":
		token.key = "api_key"
		takes = []credential{token}
	case "elastic basic":
		takes = []credential{user, password}
	case "http token":
		token.key = "auth.token"
		takes = []credential{token}
		d.set("auth.type", "bearer")
	case "http basic":
		user.key, password.key = "auth.username", "auth.password"
		takes = []credential{user, password}
		d.set("auth.type", "basic")
	case "http oauth2":
		d.set("auth.type", "oauth2")
	case "elastic none", "http none", "elastic ", "http ":
		if kind == "" && (w.has("auth_token") || w.has("username") || w.has("password")) {
			d.bad("/auth_type", fits, "auth_type is missing")
			return
		}
	case "splunk ":
		d.bad("/auth_type", fits, "auth_type is missing")
		return
	default:
		d.bad("/auth_type", fits, "%q is not a way in which %s takes credentials", kind, f.SIEMType)
		return
	}
	taken := map[string]bool{}
	for _, c := range takes {
		taken[c.name] = true
		switch {
		case c.value == nil || *c.value == "":
			d.bad("/"+c.name, "", "%s is missing", c.name)
		case c.name == "username":
			d.set(c.key, escape(*c.value))
		default:
			d.secret("/"+c.name, c.key, *c.value)
		}
	}
	for _, c := range []credential{token, user, password} {
		if w.has(c.name) && !taken[c.name] && *c.value != "" {
			d.bad("/"+c.name, "leave it out", "%s has no meaning for auth_type %s", c.name, kind)
		}
	}
}

// secret puts a secret at a dotted key of the output.
func (d *draft) secret(pointer, key, value string) {
	if ref, ok := d.seal(pointer, key, value); ok {
		d.set(key, ref)
	}
}

// seal keeps a secret under name and gives the reference to it; "***" means the
// one that is kept already.
func (d *draft) seal(pointer, name, value string) (ref string, ok bool) {
	if value == hidden {
		if d.old != nil && d.old.Managed != nil {
			value, ok = d.old.Managed.Sealed[name]
		}
		if !ok {
			d.bad(pointer, "give the secret itself", "%s stands for a secret that is kept, and none is", hidden)
			return "", false
		}
		d.kept = append(d.kept, pointer)
	}
	d.secrets[name] = value
	return "${secret:" + name + "}", true
}

// fieldOf is the field of the object behind an output key.
var fieldOf = map[string]string{
	"endpoint": "endpoint", "enabled": "enabled", "filter.event_types": "enabled_event_types", "filter.min_severity": "min_severity",
	"batch.max_events": "batch_size", "batch.max_wait": "batch_interval_seconds", "retry.max_attempts": "max_retries",
	"retry.initial": "retry_delay_seconds", "tls.verify": "verify_ssl", "token": "auth_token", "api_key": "auth_token",
	"username": "username", "password": "password", "index": "index_name", "sourcetype": "source_type", "facility": "facility",
	"transport": "auth_type", "auth.type": "auth_type", "auth.token": "auth_token", "auth.username": "username", "auth.password": "password",
	"type": "siem_type",
}

// soft are the keys that may be given as an option too, in place of their field.
var soft = map[string]bool{
	"filter.min_severity": true, "batch.max_events": true, "batch.max_wait": true, "retry.max_attempts": true, "retry.initial": true,
	"tls.verify": true, "index": true, "sourcetype": true, "facility": true,
}

// options sets any other key of the output. Keys that name files of this
// machine, programs or proxies are for config files only.
func (d *draft) options() {
	spec, ok := agent.OutputKind(d.kind)
	if !ok {
		d.bad("/siem_type", "", "this siemd has no output for %s", d.kind)
		return
	}
	config := reflect.ValueOf(spec.Config()).Elem()
	d.optionsAt("", d.w.fields.Options, config)
}

func (d *draft) optionsAt(at string, options map[string]any, config reflect.Value) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		key, v := at+name, options[name]
		pointer := "/options/" + strings.ReplaceAll(escapePointer(at), ".", "/") + escapePointer(name)
		place, known := lookup(config, key)
		field, taken := fieldOf[key]
		switch inner, isMap := v.(map[string]any); {
		case strings.Contains(name, ".") && !known:
			d.bad(pointer, "nest them: {\"batch\": {\"max_bytes\": …}}", "a key has no dots")
		case taken && soft[key] && !d.w.has(field) && v != nil:
			d.set(key, fromJSON(v))
			if d.opted == nil {
				d.opted = map[string]bool{}
			}
			d.opted[key] = true
		case taken:
			d.bad(pointer, "use "+field, "this option is the field %s", field)
		case localKey(name):
			d.bad(pointer, "set up the connection in a config file", "what names files, programs or proxies cannot be set through the API")
		case isMap && known && place.Kind() == reflect.Map && place.Type().Elem() == reflect.TypeFor[agent.Secret]():
			refs := map[string]any{}
			for _, k := range slices.Sorted(maps.Keys(inner)) {
				at := pointer + "/" + escapePointer(k)
				text, ok := inner[k].(string)
				if !ok || strings.ContainsAny(k, "{}$") {
					d.bad(at, "", "want a name and a string")
					continue
				}
				if ref, ok := d.seal(at, key+"/"+k, text); ok {
					refs[k] = ref
				}
			}
			d.set(key, refs)
		case isMap && (!known || place.Kind() == reflect.Struct):
			d.optionsAt(key+".", inner, config)
		case known && place.Type() == reflect.TypeFor[agent.Secret]():
			text, ok := v.(string)
			if !ok {
				d.bad(pointer, "", "want a string")
				continue
			}
			d.secret(pointer, key, text)
		case v == nil:
		case known && place.Kind() == reflect.Struct && !isText(place):
			d.bad(pointer, "", "want an object")
		default:
			d.set(key, fromJSON(v))
		}
	}
}

// localKey reports whether an option is about this machine.
func localKey(name string) bool {
	switch name {
	case "proxy", "path", "command", "env":
		return true
	}
	return strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_dir") || strings.HasSuffix(name, "_path")
}

// whereabouts are the keys that say who gets the secrets. Of a URL the host
// counts: a port or the use of TLS is for whoever may change the connection.
var whereabouts = []string{"endpoint", "cloud_id", "proxy", "auth.token_url", "tls.server_name"}

// guardSecrets asks for secrets again when they would go to somebody else: who
// may change an endpoint is not to learn the secret that way.
func (d *draft) guardSecrets() {
	if d.old == nil || len(d.kept) == 0 || len(d.mistakes) > 0 {
		return
	}
	next, err := d.preview()
	if err != nil {
		return // the loader will say what is wrong
	}
	for _, key := range whereabouts {
		if !sameValue(next, d.old.Config, key) && !sameHosts(next, d.old.Config, key) {
			for _, pointer := range d.kept {
				d.bad(pointer, "give it again", "the secret is asked for again because %s changes", fieldName(key))
			}
			return
		}
	}
}

// sameHosts reports whether two configs name the same hosts at a key for URLs.
func sameHosts(a, b any, path string) bool {
	x, okX := lookup(reflect.ValueOf(a), path)
	y, okY := lookup(reflect.ValueOf(b), path)
	if !okX || !okY {
		return false
	}
	urls, old := urlsOf(x), urlsOf(y)
	return len(urls) > 0 && slices.EqualFunc(urls, old, func(s, t string) bool {
		u, errU := url.Parse(s)
		v, errV := url.Parse(t)
		return errU == nil && errV == nil && u.Hostname() != "" && strings.EqualFold(u.Hostname(), v.Hostname())
	})
}

// urlsOf is one text, or each of a list.
func urlsOf(v reflect.Value) []string {
	switch x := v.Interface().(type) {
	case string:
		return []string{x}
	case []string:
		return x
	}
	return nil
}

func fieldName(key string) string {
	if f, ok := fieldOf[key]; ok {
		return f
	}
	return key
}

// preview is the typed config that the draft will become.
func (d *draft) preview() (any, error) {
	ch, err := d.file("PREVIEW", config.Managed{Secrets: "preview"})
	if err != nil {
		return nil, err
	}
	cfg, problems := config.With(&config.Config{Outputs: map[string]*config.Output{}}, ch)
	if cfg == nil {
		return nil, fmt.Errorf("%d mistakes", len(problems))
	}
	return cfg.Outputs["PREVIEW"].Config, nil
}
