package api

import (
	"reflect"
	"strings"
)

// differenceOf is what the audit log keeps of a change: each field that is
// another now, before and after, with secrets hidden.
func differenceOf(before, after *connectionFields, d *draft) map[string][2]any {
	diff := map[string][2]any{}
	var none connectionFields
	if before == nil {
		before = &none
	}
	x, y := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for i := range x.NumField() {
		name, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("json"), ",")
		a, b := x.Field(i).Interface(), y.Field(i).Interface()
		if reflect.DeepEqual(a, b) {
			continue
		}
		switch name {
		case "auth_token", "password":
			a, b = shade(x.Field(i)), shade(y.Field(i))
		case "options":
			b = shadeOptions(after.Options, d)
		}
		diff[name] = [2]any{a, b}
	}
	return diff
}

// shade is "***" if there is a secret.
func shade(v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	return hidden
}

// shadeOptions hides every text that went to the secrets.
func shadeOptions(options map[string]any, d *draft) map[string]any {
	out := map[string]any{}
	for k, v := range options {
		switch x := v.(type) {
		case map[string]any:
			out[k] = shadeOptions(x, d)
			continue
		case string:
			for _, secret := range d.secrets {
				if x == secret {
					v = hidden
				}
			}
		}
		out[k] = v
	}
	return out
}
